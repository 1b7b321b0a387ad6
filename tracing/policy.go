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

// DefaultRate and DefaultBurst are those of the [RateLimit] that holds where
// [WithSampling] is not used.
const (
	DefaultRate  = 10
	DefaultBurst = 10
)

// Policy decides which messages of a connection may have a span, before the
// tracer is asked. It is made by the functions of this package; one Policy may
// stand in several others and serve any number of connections.
type Policy interface {
	check() error
	// forConn returns the decider of one connection, which is safe for
	// concurrent use.
	forConn(handshake trace.SpanContext) decider
}

// decider says what refuses a message, or passed. parent is what its span
// would be the child of, and is invalid for a root.
type decider interface {
	decide(parent trace.SpanContext) reason
}

// reason is the policy that refused a message: the attribute of
// ws.message.spans.suppressed.
type reason int

const (
	byHandshake reason = iota
	byParent
	byRate
	byRatio
	passed
)

var reasons = [...]string{byHandshake: "handshake", byParent: "parent", byRate: "rate", byRatio: "ratio"}

// Handshake follows the decision that was made for the handshake: it refuses
// the messages of a connection whose handshake has a span that is not sampled.
// It lets pass those of a connection without one, for which nothing was decided.
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

// Ratio lets each message pass with probability fraction, from 0 to 1, whatever
// becomes of others.
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

// RateLimit lets perSecond messages a second pass on each connection, and burst
// at once. Both directions count together; all broadcasts count as one
// connection. There is no timer behind it.
//
// It belongs behind the other policies, as they take no part of the rate then.
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

// bucket is a token bucket kept as one time: when it will be full again.
type bucket struct {
	interval time.Duration // that a token takes to come
	ahead    time.Duration // how far full may lie ahead for one more to be taken
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

// ParentBased follows the decision of the span that a message's would be the
// child of: what it carries on a connection with [TrustPeer], or for one that is
// sent, the span in the context of the send. Where there is none it asks root.
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

// AllOf lets pass what every one of policies does. It asks them in order, and
// none after the first that refuses, which is the one that is counted.
func AllOf(policies ...Policy) Policy { return groupPolicy{policies, true} }

// AnyOf lets pass what one of policies does. It asks them in order, and none after
// the first that lets pass. Where none does, the last is counted.
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
