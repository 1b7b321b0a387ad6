package tracing

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// DefaultRate and DefaultBurst are the arguments of the default [RateLimit]; see [WithSampling].
const (
	DefaultRate  = 10
	DefaultBurst = 10
)

// Policy decides which messages of a connection may have a span, before the tracer is called. The
// functions of this package make policies. A Policy may be part of several other policies, and may
// serve any number of connections.
type Policy interface {
	check() error
	// forConn returns the decider of one connection, which is safe for concurrent use.
	forConn(handshake trace.SpanContext) decider
}

// decider returns passed, or the reason of its refusal. parent is the parent that the span would
// have. It is invalid for a root.
type decider interface {
	decide(parent trace.SpanContext) reason
}

// reason is the policy that refused a message. It is an attribute of ws.message.spans.suppressed.
type reason int

const (
	byHandshake reason = iota
	byParent
	byRate
	byRatio
	passed
)

var reasons = [...]string{byHandshake: "handshake", byParent: "parent", byRate: "rate", byRatio: "ratio"}

// Handshake follows the sampling decision of the handshake. It refuses the messages of a connection
// whose handshake has a span that is not sampled. If the handshake has no span, all messages pass.
func Handshake() Policy { return handshakePolicy{} }

type handshakePolicy struct{}

func (handshakePolicy) check() error { return nil }

func (handshakePolicy) forConn(handshake trace.SpanContext) decider {
	if handshake.IsValid() && !handshake.IsSampled() {
		return always(byHandshake)
	}
	return always(passed)
}

type always reason

func (a always) decide(trace.SpanContext) reason { return reason(a) }

// Ratio lets each message pass with the given probability, from 0 to 1, independently of other
// messages.
func Ratio(fraction float64) Policy { return ratioPolicy(fraction) }

type ratioPolicy float64

func (p ratioPolicy) check() error {
	if !(p >= 0 && p <= 1) {
		return fmt.Errorf("ratio %v is not from 0 to 1", float64(p))
	}
	return nil
}

func (p ratioPolicy) forConn(trace.SpanContext) decider {
	switch p {
	case 0:
		return always(byRatio)
	case 1:
		return always(passed)
	}
	return p
}

func (p ratioPolicy) decide(trace.SpanContext) reason {
	if rand.Float64() < float64(p) {
		return passed
	}
	return byRatio
}

// RateLimit lets, on each connection, perSecond messages pass in a second, and bursts of burst
// messages. Sent and received messages count together. All broadcasts count as one connection. It
// starts no timer and no goroutine.
//
// Put it after the other policies, so that messages which they refuse do not use up the rate.
// perSecond must be from 1e-6 to 1e9, and burst at least 1.
func RateLimit(perSecond float64, burst int) Policy { return ratePolicy{perSecond, burst} }

type ratePolicy struct {
	perSecond float64
	burst     int
}

const (
	slowest = 1e-6 // a message in twelve days
	fastest = 1e9
)

func (p ratePolicy) check() error {
	if !(p.perSecond >= slowest && p.perSecond <= fastest) {
		return fmt.Errorf("rate limit of %v a second is not from 1e-6 to 1e9", p.perSecond)
	}
	if p.burst < 1 {
		return fmt.Errorf("burst %d of the rate limit is not a positive number", p.burst)
	}
	return nil
}

func (p ratePolicy) forConn(trace.SpanContext) decider {
	interval := time.Duration(float64(time.Second) / p.perSecond)
	ahead := time.Duration(math.MaxInt64 / 4)
	if n := time.Duration(p.burst - 1); n < ahead/interval {
		ahead = n * interval
	}
	return &bucket{interval: interval, ahead: ahead}
}

// bucket is a token bucket. Its whole state is the time at which it will be full again.
type bucket struct {
	interval time.Duration // time for one new token
	ahead    time.Duration // a token may be taken if full is at most so far ahead
	full     atomic.Int64  // since processStart
}

var processStart = time.Now()

func (b *bucket) decide(trace.SpanContext) reason {
	return b.take(time.Since(processStart))
}

func (b *bucket) take(now time.Duration) reason {
	for {
		full := b.full.Load()
		at := max(time.Duration(full), now)
		if at-now > b.ahead {
			return byRate
		}
		if b.full.CompareAndSwap(full, int64(at+b.interval)) {
			return passed
		}
	}
}

// ParentBased follows the sampling decision of the span that would be the parent. For a received
// message, this is the context in the message, if [TrustPeer] is set. For a sent message, it is the
// span in the context of the send. If there is no parent, root decides.
func ParentBased(root Policy) Policy { return parentPolicy{root} }

type parentPolicy struct{ root Policy }

func (p parentPolicy) check() error {
	if p.root == nil {
		return errors.New("root policy of ParentBased is nil")
	}
	return p.root.check()
}

func (p parentPolicy) forConn(handshake trace.SpanContext) decider {
	return parentDecider{p.root.forConn(handshake)}
}

type parentDecider struct{ root decider }

func (d parentDecider) decide(parent trace.SpanContext) reason {
	switch {
	case !parent.IsValid():
		return d.root.decide(parent)
	case parent.IsSampled():
		return passed
	}
	return byParent
}

// AllOf lets a message pass if all policies do. It asks them in order, and stops at the first that
// refuses. That one is counted as the reason.
func AllOf(policies ...Policy) Policy { return groupPolicy{policies, true} }

// AnyOf lets a message pass if at least one policy does. It asks them in order, and stops at the
// first that lets it pass. If all refuse, the last one is counted as the reason.
func AnyOf(policies ...Policy) Policy { return groupPolicy{policies, false} }

type groupPolicy struct {
	policies []Policy
	all      bool
}

func (p groupPolicy) check() error {
	if !p.all && len(p.policies) == 0 {
		return errors.New("AnyOf has no policies")
	}
	var errs []error
	for _, q := range p.policies {
		if q == nil {
			return errors.New("policy is nil")
		}
		errs = append(errs, q.check())
	}
	return errors.Join(errs...)
}

func (p groupPolicy) forConn(handshake trace.SpanContext) decider {
	var ds []decider
	for _, q := range p.policies {
		d := q.forConn(handshake)
		if p.all && d == always(passed) {
			continue
		}
		ds = append(ds, d)
	}
	switch len(ds) {
	case 0:
		return always(passed)
	case 1:
		return ds[0]
	}
	return groupDecider{ds, p.all}
}

type groupDecider struct {
	deciders []decider
	all      bool
}

func (g groupDecider) decide(parent trace.SpanContext) (r reason) {
	for _, d := range g.deciders {
		if r = d.decide(parent); (r == passed) != g.all {
			break
		}
	}
	return r
}
