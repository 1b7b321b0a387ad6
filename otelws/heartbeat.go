package otelws

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/otelws/internal/wheel"
)

// Heartbeat starts a heartbeat on the connection of the request with context ctx. It pings the peer
// at intervals, records ws.heartbeat.rtt, and ends the connection if the peer is dead. Then it
// closes the transport at once, which counts as close code 1006, initiator timeout. [WithHeartbeat]
// does the same for every connection.
//
// Heartbeat returns at once. The heartbeat stops when the connection ends or ctx is done. Note that
// the context of a server's request is cancelled when its handler returns.
//
// The tap writes the pings itself, between two frames of the WebSocket library, and hides their
// pongs from it. So the heartbeat works with any library, whether or not the library can ping.
//
// The peer is dead after [Misses] consecutive missed pings, without a sign of life between them. A slow
// peer that is receiving a large message is not dead. A ping is missed if all of this is true after
// [PongTimeout]:
//
//   - No pong has arrived, not even one for an earlier ping.
//   - No message has arrived, nor more than a few bytes per second.
//   - The peer's kernel has accepted almost nothing (a few bytes per second) of the data that was
//     written before the ping.
//
// On Linux, the tap asks the kernel for the last two. If your code does not read, a ping does not
// count as missed while the kernel still receives data, or has no room for more. On other systems,
// the tap splits writes of more than 64 KiB, to see whether they make progress.
//
// After a violation of the protocol by the peer that the library tolerates, the tap cannot read the
// peer's frames any more, and sends no more pings.
//
// Heartbeat returns an error in these cases:
//
//   - An option is invalid, or does not fit the connection, such as [AcceptedOnly] for a dialed
//     connection.
//   - ctx belongs to no open connection, for example because no [Instrumentation.Handler] is
//     around the handler.
//   - The connection already has a heartbeat.
func (i *Instrumentation) Heartbeat(ctx context.Context, opts ...HeartbeatOption) error {
	return i.heartbeat(ctx, connectionsFrom(ctx), opts, "the context belongs to no watched connection: put Handler around the handler, use the context of resp.Request in a client, or pass WithHeartbeat to New")
}

// HeartbeatOn is like [Instrumentation.Heartbeat]. Use it if you have the [net.Conn], but not the
// context of the request. i must watch nc: a connection of [Instrumentation.Listener],
// [Instrumentation.Conn] or [Instrumentation.DialContext], a connection that Hijack returned, or a
// connection of a WebSocket library on top of these.
func (i *Instrumentation) HeartbeatOn(ctx context.Context, nc net.Conn, opts ...HeartbeatOption) error {
	return i.heartbeat(ctx, connectionsOn(nc), opts, "the connection is not watched by this Instrumentation: pass a connection of Listener, Conn, DialContext or Hijack")
}

// heartbeat starts a heartbeat on the connection of i's provider. none says why there may be none.
func (i *Instrumentation) heartbeat(ctx context.Context, all iter.Seq[*connection], opts []HeartbeatOption, none string) error {
	c := i.ownOf(all)
	if c == nil {
		return errors.New("otelws: failed to start heartbeat: " + none)
	}
	cfg, err := newHeartbeatConfig(opts)
	if err != nil {
		return fmt.Errorf("otelws: %w", err)
	}
	if cfg.spared[c.side.role] {
		return fmt.Errorf("otelws: failed to start heartbeat: its options exclude %s connections", c.side.role)
	}
	cfg.wheel = i.wheels.For(cfg.timeout)
	if err := c.beat(ctx, cfg); err != nil {
		return fmt.Errorf("otelws: failed to start heartbeat: %w", err)
	}
	return nil
}

// ownOf returns the connection that i's provider watches, or nil.
func (i *Instrumentation) ownOf(all iter.Seq[*connection]) *connection {
	for c := range all {
		if sameProvider(c.side.in, i) {
			return c
		}
	}
	return nil
}

// heartbeat is the heartbeat of one connection. While idle, it takes only a few words of memory.
type heartbeat struct {
	conn    atomic.Pointer[connection] // nil after it has stopped
	config  *heartbeatConfig
	last    *sentPing // the ping in progress, or the last one if it was missed; otherwise nil
	answers uint32    // pongs so far
	misses  uint16    // in a row
	wheel.Entry
}

// sentPing is a ping of a heartbeat.
type sentPing struct {
	before tap.Signs // signs of life before it
	at     clock.Instant
	missed bool
}

// isAlive reports whether the peer has shown life since the ping.
func (p *sentPing) isAlive(now tap.Signs) bool {
	return now.Answers != p.before.Answers || now.AliveSince(p.before, clock.Now()-p.at)
}

// beat starts a heartbeat on c.
func (c *connection) beat(ctx context.Context, cfg *heartbeatConfig) error {
	if !c.Signs().Open {
		return errors.New("the connection is not open")
	}
	h := &heartbeat{config: cfg}
	h.conn.Store(c)
	for {
		old := c.beats.Load()
		if old != nil && old.conn.Load() != nil {
			return errors.New("the connection already has a heartbeat")
		}
		if c.beats.CompareAndSwap(old, h) {
			break
		}
	}
	if ctx.Done() != nil {
		cfg.releases.Store(h, context.AfterFunc(ctx, h.stop))
	}
	if !c.Signs().Open { // ended meanwhile
		h.stop()
	}
	// The first ping comes at a random time, so that connections that opened together do not ping
	// together.
	cfg.wheel.After(rand.N(cfg.every), h)
	return nil
}

func (h *heartbeat) stop() {
	h.conn.Store(nil)
	h.config.wheel.Stop(h)
	if release, ok := h.config.releases.LoadAndDelete(h); ok {
		release.(func() bool)()
	}
}

// Fire implements [wheel.Timer]. It is called when a ping is due, and when its timeout has passed.
func (h *heartbeat) Fire() {
	if c := h.conn.Load(); c != nil {
		go h.next(c)
	}
}

func (h *heartbeat) next(c *connection) {
	if h.last == nil || h.last.missed {
		if h.last != nil && h.last.isAlive(c.Signs()) { // a slow peer may rest in the pong timeouts
			h.misses = 0
		}
		h.last = c.ping()
		h.config.wheel.After(h.config.timeout, h)
		return
	}
	ping, after := h.last, c.Signs()
	h.last = nil
	if !after.Open {
		return
	}
	if after.Answers != h.answers { // late pongs count, too
		h.answers, h.misses = after.Answers, 0
	}
	if !ping.isAlive(after) {
		c.combination.heartbeat.missed.Add(1)
		h.misses = min(h.misses, math.MaxUint16-1) + 1
		ping.missed, h.last = true, ping
	}
	if int(h.misses) >= h.config.misses && h.conn.Load() != nil {
		c.GiveUp()
		return
	}
	h.config.wheel.After(max(jitter(h.config.every)-h.config.timeout, 0), h)
}

// ping writes a ping.
func (c *connection) ping() *sentPing {
	p := &sentPing{before: c.Signs(), at: clock.Now()}
	if !p.before.HasKernel {
		go c.Ping() // the write may block
		return p
	}
	c.Ping()
	after := c.Signs()
	if p.before.Kernel.Written = after.Kernel.Written; after.Pings == p.before.Pings {
		p.before.Kernel.Written = math.MaxUint64 // the ping will be written later, after more data
	}
	return p
}

// jitter varies d randomly by up to a tenth.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) - d/10
}
