package otelws

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

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
// error has the number of connections that were cut. A function of WithOnClose or [WithEnum] that calls
// Drain must give ctx a deadline, because Drain also waits for that function.
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
	d := &drain{in: i, config: cfg, begun: time.Now(), before: i.drained(), reports: newProgressReports(cfg.progress)}
	return d.run(ctx)
}

// drained returns the number of connections with each outcome, of all drains so far.
func (i *Instrumentation) drained() (n [len(drainOutcomes)]int) {
	for outcome := range n {
		n[outcome] = int(i.server.drained[outcome].Load() + i.client.drained[outcome].Load())
	}
	return n
}

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
	reports  progressReports
}

// drainGrace is how long Drain waits after its deadline for the transports that it cuts, and at its end
// for the function of OnDrainProgress.
const drainGrace = 250 * time.Millisecond

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
			d.reports.begin(d.progress())
		}
		if d.done() {
			d.reports.end(d.progress(), drainGrace)
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
	d.reports.end(d.progress(), drainGrace)
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

// progress returns what has happened since the drain began.
func (d *drain) progress() DrainProgress {
	drained := d.in.drained()
	return DrainProgress{
		Open:   d.in.table.Len(),
		Closed: drained[drainClosed] - d.before[drainClosed],
		Cut:    drained[drainCut] - d.before[drainCut],
	}
}
