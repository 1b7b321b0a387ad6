package otelws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// DrainOption configures a drain.
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

// DrainCode sets the close code and the reason that peers are told, such as
// [websocket.StatusServiceRestart]. Without it they are told
// [websocket.StatusGoingAway], "going away". A reason has 123 bytes at most.
func DrainCode(code websocket.StatusCode, reason string) DrainOption {
	return drainOptionFunc(func(c *drainConfig) { c.code, c.reason = code, reason })
}

// DrainSpread spreads the close frames over a time, so that clients do not all
// come back at once. The oldest connection is told first, and at once. Without it
// all are told at once.
func DrainSpread(d time.Duration) DrainOption {
	return drainOptionFunc(func(c *drainConfig) { c.spread = d })
}

// DrainRandom tells connections in a random order, instead of the oldest first.
func DrainRandom() DrainOption {
	return drainOptionFunc(func(c *drainConfig) { c.random = true })
}

// DrainProgress is how far a drain has come.
type DrainProgress struct {
	Open   int // connections that are open
	Closed int // connections that have closed since the drain began
	Cut    int // connections whose transport the drain has closed
}

// OnDrainProgress has f called during a drain and at its end, ten times a second at
// most, where something has changed. f must return at once.
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
		return nil, fmt.Errorf("drain code %d is not a code that a close frame may carry: use 1001, 1012 or one from 3000 to 4999", c.code)
	case len(c.reason) > maxReason:
		return nil, fmt.Errorf("drain reason of %d bytes is longer than the %d that a close frame holds", len(c.reason), maxReason)
	case c.spread < 0:
		return nil, fmt.Errorf("drain spread %v is negative", c.spread)
	}
	return c, nil
}

// maxReason is the longest reason of a close frame (RFC 6455 section 5.5).
const maxReason = 123

// Drain closes every connection that is watched, accepted or dialed, whatever
// library opened it: the tap writes a close frame with the code 1001, going away,
// between two messages of the library's. Nothing follows that frame. When the peer
// has answered it, the transport is closed. Connections that have not ended when
// ctx is done are cut: their transport is closed at once. opts change what the
// options of [WithDrain] say.
//
// Accepted connections are told first, because serving them may need the dialed
// ones, as in a proxy. Those are told when no accepted one is left, or a second
// after the last of these was told.
//
// Drain returns when all have ended and every function of [WithOnClose] has
// returned, or a moment after ctx is done: nil, or an error that says how many were
// cut.
//
// It is for the shutdown of a service, after [net/http.Server.Shutdown], which
// stops the listener and does nothing for WebSocket connections. It is final: a
// connection that opens later is told at once, a dialed one after a second. Drain may be called again, and waits
// for those as well.
func (i *Instrumentation) Drain(ctx context.Context, opts ...DrainOption) error {
	cfg, err := newDrainConfig(i.config.drain, opts)
	if err != nil {
		return fmt.Errorf("otelws: %w", err)
	}
	i.draining.Store(cfg)
	d := &drain{in: i, config: cfg, begun: time.Now(), closedBefore: i.drained(drainClosed)}
	return d.run(ctx)
}

// The outcomes of a drain for a connection, in the order of drainOutcomes.
const (
	drainClosed = iota // the connection has ended before the deadline
	drainCut           // the drain has closed its transport
)

// drained returns how many connections have come to an outcome.
func (i *Instrumentation) drained(outcome int) int {
	return int(i.server.drained[outcome].Load() + i.client.drained[outcome].Load())
}

// told says what a drain has done to a connection.
type told uint32

const (
	notTold  told = iota
	goodbye       // it was told
	answered      // its peer has answered
	cut           // its transport is being closed
)

// drain is one call of Drain.
type drain struct {
	in           *Instrumentation
	config       *drainConfig
	begun        time.Time
	all          []*connection // that were open, in the order in which they are told
	told         int           // how many of all were told
	open         int           // connections at the beginning
	dialed       bool          // dialed connections are among all, or have been told
	dialedAt     time.Time     // when these are told at the latest
	alone        int           // looks in a row without an accepted one
	closedBefore int
	reported     DrainProgress
}

const (
	drainTick  = 20 * time.Millisecond
	drainLooks = 5 // ticks from one look after those who were told to the next
	// drainPatience is how long a drain waits for the end of a message before it says
	// goodbye in the middle.
	drainPatience = time.Second
	// drainGrace is how long Drain goes on after its deadline for the transports that
	// it cuts to close.
	drainGrace = 250 * time.Millisecond
	// lateLimit is how long the peer of a connection that opened too late may take to
	// answer.
	lateLimit = 5 * time.Second
)

func (d *drain) run(ctx context.Context) error {
	d.collect()
	// Slow clients have half of the time that is left before their backends are told.
	d.dialedAt = d.begun.Add(d.config.spread + drainPatience)
	if end, ok := ctx.Deadline(); ok {
		if half := d.begun.Add(d.config.spread + end.Sub(d.begun.Add(d.config.spread))/2); half.After(d.dialedAt) {
			d.dialedAt = half
		}
	}
	if d.dialed && d.open > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(drainLooks * drainTick): // for the accepted ones of handshakes under way
		}
		d.collect()
	}
	slices.SortFunc(d.all, func(a, b *connection) int { return cmp.Compare(a.ID(), b.ID()) })
	if d.config.random {
		rand.Shuffle(len(d.all), func(i, j int) { d.all[i], d.all[j] = d.all[j], d.all[i] })
	}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for n := 1; ; n++ {
		d.tell()
		if n%drainLooks == 0 {
			d.look()
			d.report()
		}
		if d.done() {
			d.report()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return d.cut(ctx, tick)
		}
	}
}

// collect finds the connections that are told by and by: the accepted ones, and
// where there are none the dialed ones.
func (d *drain) collect() {
	opening := d.in.opening.Load() > 0
	d.all = slices.Collect(d.in.table.All)
	d.open = len(d.all)
	d.dialed = !opening && !slices.ContainsFunc(d.all, (*connection).isAccepted)
	if !d.dialed {
		d.all = slices.DeleteFunc(d.all, (*connection).isDialed)
	}
}

// done says whether every connection has ended, and every function of WithOnClose
// has returned.
func (d *drain) done() bool {
	return d.in.opening.Load() == 0 && d.in.table.Len() == 0 && d.in.ending.Load() == 0
}

// tell says goodbye to those whose time has come.
func (d *drain) tell() {
	due := len(d.all)
	if spread := d.config.spread; spread > 0 {
		due = min(due, 1+int(float64(due)*float64(time.Since(d.begun))/float64(spread)))
	}
	for ; d.told < due; d.told++ {
		d.all[d.told].sayGoodbye(d.config)
	}
}

// tellDialed says goodbye to all dialed connections.
func (d *drain) tellDialed() {
	d.dialed = true
	for c := range d.in.table.All {
		if c.isDialed() {
			c.sayGoodbye(d.config)
		}
	}
}

func (c *connection) isDialed() bool { return c.side.role == client }

func (c *connection) isAccepted() bool { return c.side.role == server }

// sayGoodbye has the tap say goodbye, in the background: a transport may be stuck.
func (c *connection) sayGoodbye(cfg *drainConfig) {
	c.told.CompareAndSwap(uint32(notTold), uint32(goodbye))
	go c.Goodbye(cfg.code, cfg.reason, false)
}

// leave is the drain of a connection that opens once a drain has begun. A dialed one
// is left for a while to the accepted one that it may serve.
func (c *connection) leave(cfg *drainConfig) {
	if c.isDialed() {
		for end := time.Now().Add(drainPatience); c.Signs().Open && time.Now().Before(end); {
			time.Sleep(drainTick)
		}
	}
	c.sayGoodbye(cfg)
	end := time.Now().Add(lateLimit)
	for tick := time.NewTicker(drainTick); ; <-tick.C {
		if !c.Signs().Open || time.Now().After(end) {
			tick.Stop()
			c.CutOff()
			return
		}
		if c.Answered() && c.told.CompareAndSwap(uint32(goodbye), uint32(answered)) {
			end = time.Now().Add(drainTick * drainLooks)
		}
	}
}

// look closes the transports of those who have answered, and hurries those in the
// middle of a message once everybody had some time. Who has answered is left to the
// library until the next look: a proxy has the answer to pass on.
func (d *drain) look() {
	hurry := time.Since(d.begun) > d.config.spread+drainPatience
	opening, accepted := d.in.opening.Load() > 0, false
	for c := range d.in.table.All {
		accepted = accepted || c.isAccepted()
		switch {
		case told(c.told.Load()) == notTold:
		case c.Answered():
			if !c.told.CompareAndSwap(uint32(goodbye), uint32(answered)) {
				go c.CutOff()
			}
		case hurry:
			go c.Goodbye(d.config.code, d.config.reason, true)
		}
	}
	if opening || accepted {
		d.alone = 0
	} else {
		d.alone++
	}
	if !d.dialed && (time.Now().After(d.dialedAt) || d.alone > 1) {
		d.tellDialed()
	}
}

// cut closes the transports of all that are still open.
func (d *drain) cut(ctx context.Context, tick *time.Ticker) error {
	n := 0
	for c := range d.in.table.All {
		n++
		c.told.Store(uint32(cut))
		go c.CutOff()
	}
	for end := time.Now().Add(drainGrace); !d.done() && time.Now().Before(end); {
		<-tick.C
	}
	d.report()
	switch ending := d.in.ending.Load(); {
	case n > 0:
		return fmt.Errorf("otelws: %d of %d connections did not close in time: %w", n, max(d.open, n), context.Cause(ctx))
	case ending > 0:
		return fmt.Errorf("otelws: all connections have closed, but %d calls of functions of WithOnClose have not returned in time: %w", ending, context.Cause(ctx))
	}
	return nil
}

// report tells the caller how far the drain has come, where that has changed.
func (d *drain) report() {
	if d.config.progress == nil {
		return
	}
	now := DrainProgress{
		Open:   d.in.table.Len(),
		Closed: d.in.drained(drainClosed) - d.closedBefore,
		Cut:    d.in.drained(drainCut),
	}
	if now != d.reported {
		d.reported = now
		d.config.progress(now)
	}
}
