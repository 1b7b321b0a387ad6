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

// DrainProgress is the progress of a drain. Closed and Cut are counts since the call of Drain.
type DrainProgress struct {
	Open   int // connections that are still open
	Closed int // connections that the drain asked to close, and that have ended without being cut
	Cut    int // connections whose transport the drain has closed at its deadline
}

// OnDrainProgress sets a function that is called when the progress of a drain has changed, at most
// ten times a second, and at the end. f must return quickly, because the drain waits for it.
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

// Drain closes all watched connections, accepted and dialed, of any library. Use it to shut a
// service down, after [net/http.Server.Shutdown], which does not close WebSocket connections.
//
// The tap writes a close frame to each connection, between two messages of the library. By default,
// its code is 1001 (going away). Nothing follows that frame. When the peer has answered, the
// transport is closed. When ctx is done, the transports of all remaining connections are closed at
// once: they are cut.
//
// Accepted connections get their close frame first, because their handlers may need the dialed
// connections, as in a proxy. Dialed connections get it when all accepted connections have ended.
// They get it earlier if accepted connections take too long: after half of the time until ctx's
// deadline, and at least a second after the last accepted connection got its close frame.
//
// Drain returns nil when all connections have ended and all functions of [WithOnClose] have
// returned. If ctx is done before that, Drain returns an error at most a quarter of a second later. The
// error has the number of connections that were cut.
//
// A drain is final. A connection that opens later gets a close frame at once, or after a second if
// it is dialed. Drain may be called again; the new call also waits for these connections. opts
// override the options of [WithDrain].
func (i *Instrumentation) Drain(ctx context.Context, opts ...DrainOption) error {
	cfg, err := newDrainConfig(i.config.drain, opts)
	if err != nil {
		return fmt.Errorf("otelws: %w", err)
	}
	if end, ok := ctx.Deadline(); ok {
		cfg.spread = min(cfg.spread, max(time.Until(end), 0)*3/4)
	}
	i.draining.Store(cfg)
	d := &drain{in: i, config: cfg, begun: time.Now(), before: i.drained()}
	return d.run(ctx)
}

// The outcomes of a drain for one connection, in the order of drainOutcomes.
const (
	drainClosed = iota // the connection ended before the deadline
	drainCut           // the drain closed its transport
)

// drained returns the number of connections with each outcome, of all drains so far.
func (i *Instrumentation) drained() (n [len(drainOutcomes)]int) {
	for outcome := range n {
		n[outcome] = int(i.server.drained[outcome].Load() + i.client.drained[outcome].Load())
	}
	return n
}

// told is the state of one connection in a drain.
type told uint32

const (
	notTold  told = iota
	goodbye       // the close frame has been sent
	cut           // the transport is being closed
	answered      // the peer has answered; greater values count the looks since then
)

// drain is one call of Drain.
type drain struct {
	in       *Instrumentation
	config   *drainConfig
	begun    time.Time
	before   [len(drainOutcomes)]int // outcomes of earlier drains
	all      []*connection           // the open connections, in the order of their close frames
	told     int                     // number of connections in all that have been told
	open     int                     // number of connections at the beginning
	dialed   bool                    // dialed connections are in all, or have been told
	dialedAt time.Time               // latest time to tell dialed connections
	alone    int                     // consecutive looks without an accepted connection
	reported DrainProgress
}

const (
	drainTick  = 20 * time.Millisecond
	drainLooks = 5 // number of ticks between two looks
	// drainPatience is how long a drain waits for the end of a message. Then it writes the close
	// frame in the middle of the message.
	drainPatience = time.Second
	// drainGrace is how long Drain waits after its deadline for the transports that it cuts.
	drainGrace = 250 * time.Millisecond
	// lateLimit is how long the peer of a connection that opened during the drain may take to
	// answer.
	lateLimit = 5 * time.Second
)

func (d *drain) run(ctx context.Context) error {
	d.collect()
	// Slow clients get half of the remaining time before their backends are told.
	d.dialedAt = d.begun.Add(d.config.spread + drainPatience)
	if end, ok := ctx.Deadline(); ok {
		if half := d.begun.Add(d.config.spread + end.Sub(d.begun.Add(d.config.spread))/2); half.After(d.dialedAt) {
			d.dialedAt = half
		}
	}
	if d.dialed && d.open > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(drainLooks * drainTick): // handshakes in progress may add accepted connections
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

// collect finds the connections to tell one by one: the accepted connections, or the dialed ones if
// there are no accepted ones.
func (d *drain) collect() {
	opening := d.in.opening.Load() > 0
	d.all = slices.Collect(d.in.table.All)
	d.open = len(d.all)
	d.dialed = !opening && !slices.ContainsFunc(d.all, (*connection).isAccepted)
	if !d.dialed {
		d.all = slices.DeleteFunc(d.all, (*connection).isDialed)
	}
}

// done reports whether every connection has ended, and every function of WithOnClose has returned.
func (d *drain) done() bool {
	return d.in.opening.Load() == 0 && d.in.table.Len() == 0 && d.in.ending.Load() == 0
}

// tell sends the close frames that are due.
func (d *drain) tell() {
	due := len(d.all)
	if spread := d.config.spread; spread > 0 {
		due = min(due, 1+int(float64(due)*float64(time.Since(d.begun))/float64(spread)))
	}
	for ; d.told < due; d.told++ {
		d.all[d.told].sayGoodbye(d.config)
	}
}

// tellDialed sends a close frame to all dialed connections.
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

// sayGoodbye sends the close frame. It works in the background, because the transport may block.
func (c *connection) sayGoodbye(cfg *drainConfig) {
	c.told.CompareAndSwap(uint32(notTold), uint32(goodbye))
	go c.Goodbye(cfg.code, cfg.reason, false)
}

// leave drains a connection that opens after the drain has begun. A dialed connection gets some
// time first, because an accepted connection may still need it.
func (c *connection) leave(cfg *drainConfig) {
	if c.isDialed() {
		for end := time.Now().Add(drainPatience); c.Signs().Open && time.Now().Before(end); {
			time.Sleep(drainTick)
		}
	}
	c.sayGoodbye(cfg)
	end := time.Now().Add(lateLimit)
	for tick := time.NewTicker(drainTick * drainLooks); ; <-tick.C {
		if !c.Signs().Open || time.Now().After(end) || c.passedOn() {
			tick.Stop()
			c.CutOff()
			return
		}
	}
}

// passedOn reports at a look whether the peer has answered, and the library has passed the answer on
// if it is a proxy's. Such a library then reads again. passedOn waits a second for a library that has
// read the answer and does not read again.
func (c *connection) passedOn() bool {
	hasAnswered, unread := c.Answered()
	if !hasAnswered {
		return false
	}
	if c.told.CompareAndSwap(uint32(goodbye), uint32(answered)) {
		return false // the Read that received the answer may still be in progress
	}
	t := c.told.Load()
	if told(t) < answered || !c.told.CompareAndSwap(t, t+1) {
		return false // it is being cut
	}
	looks := time.Duration(t - uint32(answered) + 1)
	return looks*drainLooks*drainTick >= drainPatience || unread || c.Reading()
}

// look closes the transports of connections whose peer has answered, and after some time interrupts
// messages to send the close frame.
func (d *drain) look() {
	hurry := time.Since(d.begun) > d.config.spread+drainPatience
	opening, accepted := d.in.opening.Load() > 0, false
	for c := range d.in.table.All {
		accepted = accepted || c.isAccepted()
		switch {
		case told(c.told.Load()) == notTold:
		case c.passedOn():
			go c.CutOff()
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

// cut closes the transports of all remaining connections.
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
		return fmt.Errorf("otelws: %d of %d connections did not close in time and were cut: %w", n, max(d.open, n), context.Cause(ctx))
	case ending > 0:
		return fmt.Errorf("otelws: all connections have closed, but %d calls of WithOnClose functions did not return in time: %w", ending, context.Cause(ctx))
	case !d.done():
		return fmt.Errorf("otelws: a connection was opening at the deadline of the drain: it gets a close frame when it is open: %w", context.Cause(ctx))
	}
	return nil
}

// report passes the progress to the caller, if it has changed.
func (d *drain) report() {
	if d.config.progress == nil {
		return
	}
	drained := d.in.drained()
	now := DrainProgress{
		Open:   d.in.table.Len(),
		Closed: drained[drainClosed] - d.before[drainClosed],
		Cut:    drained[drainCut] - d.before[drainCut],
	}
	if now != d.reported {
		d.reported = now
		d.config.progress(now)
	}
}
