package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/pflag"

	"github.com/otelws/otelws-go/otelws"
)

// heartbeats are the intervals of the pings. 0 means none.
type heartbeats struct{ clients, backend time.Duration }

func (h heartbeats) options() (opts []otelws.Option) {
	if h.clients > 0 {
		opts = append(opts, otelws.WithHeartbeat(otelws.Every(h.clients), otelws.AcceptedOnly()))
	}
	if h.backend > 0 {
		opts = append(opts, otelws.WithHeartbeat(otelws.Every(h.backend), otelws.DialedOnly()))
	}
	return opts
}

// goodbye configures the close frames when the proxy stops.
type goodbye struct {
	code      int
	spread    time.Duration
	spreadSet bool
}

// goodbyeReason is the reason in the close frame.
const goodbyeReason = "service restart"

// firstOwnCode is the lowest close code that applications may choose freely (RFC 6455
// section 7.4.2).
const firstOwnCode = 3000

// validate returns an error that names the invalid flag.
func (g *goodbye) validate(timeout time.Duration) error {
	switch {
	case g.code != 1001 && g.code != 1012 && (g.code < firstOwnCode || g.code > 4999):
		return fmt.Errorf("--drain.code %d: use 1001, 1012 or a code from 3000 to 4999", g.code)
	case !g.spreadSet:
		g.spread = min(g.spread, timeout/2)
	case g.spread > 0 && g.spread >= timeout:
		return fmt.Errorf("--drain.spread %v: the last clients need a part of --drain.timeout %v to answer: use less", g.spread, timeout)
	}
	return nil
}

func (g *goodbye) options() []otelws.DrainOption {
	return []otelws.DrainOption{otelws.DrainCode(websocket.StatusCode(g.code), goodbyeReason), otelws.DrainSpread(g.spread)}
}

// closeCodes adds the code of the drain to the close codes that are counted by
// themselves.
func (g *goodbye) closeCodes() []otelws.Option {
	if g.code < firstOwnCode {
		return nil
	}
	return []otelws.Option{otelws.WithCloseCodes(websocket.StatusCode(g.code))}
}

// dottedDrain accepts --drain-spread for --drain.spread.
func dottedDrain(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if after, ok := strings.CutPrefix(name, "drain-"); ok {
		name = "drain." + after
	}
	return pflag.NormalizedName(name)
}
