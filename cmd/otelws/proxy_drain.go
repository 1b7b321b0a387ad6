package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/pflag"

	"github.com/otelws/otelws-go/otelws"
)

// drainFlags configures the close frames when the proxy stops.
type drainFlags struct {
	code      int
	spread    time.Duration
	spreadSet bool
}

// drainReason is the reason in the close frame.
const drainReason = "service restart"

// firstApplicationCode is the lowest close code for libraries and applications (RFC
// 6455 section 7.4.2).
const firstApplicationCode = 3000

// validate returns an error that names the invalid flag.
func (d *drainFlags) validate(timeout time.Duration) error {
	switch {
	case d.code != 1001 && d.code != 1012 && (d.code < firstApplicationCode || d.code > 4999):
		return fmt.Errorf("--drain.code %d: use 1001, 1012 or a code from 3000 to 4999", d.code)
	case !d.spreadSet:
		d.spread = min(d.spread, timeout/2)
	case d.spread > 0 && d.spread >= timeout:
		return fmt.Errorf("--drain.spread %v: the last clients need a part of --drain.timeout %v to answer: use less", d.spread, timeout)
	}
	return nil
}

func (d *drainFlags) options() []otelws.DrainOption {
	return []otelws.DrainOption{otelws.DrainCode(websocket.StatusCode(d.code), drainReason), otelws.DrainSpread(d.spread)}
}

// closeCodes adds the code of the drain to the close codes that are counted by
// themselves.
func (d *drainFlags) closeCodes() []otelws.Option {
	if d.code < firstApplicationCode {
		return nil
	}
	return []otelws.Option{otelws.WithCloseCodes(websocket.StatusCode(d.code))}
}

// dottedDrain accepts --drain-spread for --drain.spread.
func dottedDrain(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if after, ok := strings.CutPrefix(name, "drain-"); ok {
		name = "drain." + after
	}
	return pflag.NormalizedName(name)
}
