package otelws

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// DrainOption configures a drain; see [Instrumentation.Drain].
type DrainOption interface{ applyDrain(*drainConfig) }

type drainOptionFunc func(*drainConfig)

func (f drainOptionFunc) applyDrain(c *drainConfig) { f(c) }

type drainConfig struct {
	code     websocket.StatusCode
	reason   string
	spread   time.Duration
	random   bool
	progress func(DrainProgress)
}

// DrainCode sets the close code and the reason that peers receive, such as
// [websocket.StatusServiceRestart]. The default is [websocket.StatusGoingAway] with the reason
// "going away". The reason may have at most 123 bytes.
func DrainCode(code websocket.StatusCode, reason string) DrainOption {
	return drainOptionFunc(func(c *drainConfig) { c.code, c.reason = code, reason })
}

// DrainSpread spreads the close frames over the duration d, so that clients do not all reconnect at
// the same time. The oldest connection gets its close frame first, without delay. By default, all
// connections get it at once.
//
// The last connections need time to answer. If d is longer than three quarters of the time until the
// deadline of Drain's ctx, the close frames are spread over these three quarters instead.
func DrainSpread(d time.Duration) DrainOption {
	return drainOptionFunc(func(c *drainConfig) { c.spread = d })
}

// DrainRandom sends the close frames in random order. By default, the oldest connection is first.
func DrainRandom() DrainOption {
	return drainOptionFunc(func(c *drainConfig) { c.random = true })
}

// OnDrainProgress sets a function that is called when the progress of a drain has changed, at most
// ten times a second, and at the end. f runs on another goroutine than Drain, one call at a time.
//
// f must return quickly. The drain goes on during a call. At its end, Drain waits for the last call, but
// at most a quarter of a second.
func OnDrainProgress(f func(DrainProgress)) DrainOption {
	return drainOptionFunc(func(c *drainConfig) { c.progress = f })
}

func newDrainConfig(opts ...[]DrainOption) (*drainConfig, error) {
	c := &drainConfig{code: websocket.StatusGoingAway, reason: "going away"}
	for _, o := range slices.Concat(opts...) {
		if o == nil {
			return nil, errors.New("drain option is nil")
		}
		o.applyDrain(c)
	}
	switch {
	case !tap.Sendable(c.code):
		return nil, fmt.Errorf("invalid drain code %d: use 1001, 1012 or a code from 3000 to 4999", c.code)
	case len(c.reason) > maxReason:
		return nil, fmt.Errorf("invalid drain reason of %d bytes: a close frame can hold at most %d", len(c.reason), maxReason)
	case c.spread < 0:
		return nil, fmt.Errorf("invalid drain spread %v: use a positive duration", c.spread)
	}
	return c, nil
}

// maxReason is the maximum length of the reason in a close frame (RFC 6455 section 5.5).
const maxReason = 123
