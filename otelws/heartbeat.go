package otelws

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/otelws/internal/wheel"
)

// HeartbeatOption configures a heartbeat.
type HeartbeatOption interface{ applyHeartbeat(*heartbeatConfig) }

type heartbeatOptionFunc func(*heartbeatConfig)

func (f heartbeatOptionFunc) applyHeartbeat(c *heartbeatConfig) { f(c) }

type heartbeatConfig struct {
	every   time.Duration
	timeout time.Duration
	misses  int
	spared  [2]bool // by role

	wheel    *wheel.Wheel
	releases sync.Map // of *heartbeat to the func() bool that lets go of its context
}

// Every sets the time from one ping to the next, which varies by a tenth. It is
// 30 seconds by default.
func Every(d time.Duration) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.every = d })
}

// PongTimeout sets how long a pong may take, at most the time between two
// pings. It is 10 seconds by default, or that time if it is shorter.
func PongTimeout(d time.Duration) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.timeout = d })
}

// Misses sets how many pongs in a row may be missed before the connection is
// ended. It is 2 by default.
func Misses(n int) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.misses = n })
}

// AcceptedOnly has [WithHeartbeat] give the heartbeat to accepted connections alone,
// as for a gateway that watches its clients.
func AcceptedOnly() HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.spared[client] = true })
}

// DialedOnly has [WithHeartbeat] give the heartbeat to dialed connections alone.
func DialedOnly() HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.spared[server] = true })
}

func newHeartbeatConfig(opts []HeartbeatOption) (*heartbeatConfig, error) {
	c := &heartbeatConfig{every: 30 * time.Second, misses: 2}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("heartbeat option is nil")
		}
		o.applyHeartbeat(c)
	}
	if c.timeout == 0 {
		c.timeout = min(c.every, 10*time.Second)
	}
	switch {
	case c.every <= 0:
		return nil, fmt.Errorf("heartbeat every %v is not a positive duration", c.every)
	case c.timeout < 0 || c.timeout > c.every:
		return nil, fmt.Errorf("heartbeat timeout %v is not between 0 and the %v from ping to ping", c.timeout, c.every)
	case c.misses < 1:
		return nil, fmt.Errorf("heartbeat misses %d is less than 1", c.misses)
	case c.spared[server] && c.spared[client]:
		return nil, errors.New("heartbeat is AcceptedOnly and DialedOnly: leave one of them out, or give WithHeartbeat twice")
	}
	return c, nil
}

// Heartbeat pings the peer of the connection that the request with context ctx
// has become, whatever library opened it, so that ws.heartbeat.rtt is recorded.
// It ends the connection of a peer that is dead: the transport is closed at once,
// which is counted as 1006, by timeout. [WithHeartbeat] does the same for every
// connection.
//
// Heartbeat returns at once. The heartbeat ends with the connection or with ctx,
// whichever comes first; the context of a request is cancelled when its handler
// returns.
//
// The tap writes the pings itself, between two frames of the library's, and does
// not pass on the pongs that answer them. A peer is dead when Misses pings in a
// row were missed. A ping is missed when its time has passed, and
//
//   - no pong has come, nor a late one,
//   - nothing else has come that is a message or more than a few bytes a second,
//   - and of what was written before the ping, nothing has got to the peer that is
//     more than a few bytes a second: a slow client that takes a large message is
//     not dead.
//
// Where this side does not read, nothing is missed as long as the kernel receives
// something; the kernel is asked on Linux alone. Where the kernel cannot be asked,
// writes of more than 64 KiB are made in parts, to see whether they get on.
//
// It returns an error for a wrong option, [AcceptedOnly] for a dialed connection
// among them, for a context without an open connection, as behind no
// [Instrumentation.Handler], and for a connection that has a heartbeat.
func (i *Instrumentation) Heartbeat(ctx context.Context, opts ...HeartbeatOption) error {
	c := connectionFrom(ctx)
	for c != nil && !sameProvider(c.side.in, i) {
		c = c.outer
	}
	if c == nil {
		return errors.New("otelws: failed to start heartbeat: the context is not the context of a request that is watched: put Handler around the handler, use the context of the response's request of a client, or give New WithHeartbeat")
	}
	return i.heartbeat(ctx, c, opts)
}

// HeartbeatOn is [Instrumentation.Heartbeat] for a [net.Conn] that is watched: one
// that Hijack or a library gives out.
func (i *Instrumentation) HeartbeatOn(ctx context.Context, nc net.Conn, opts ...HeartbeatOption) error {
	var c *connection
	for recorder := range tap.Of(nc) {
		if c = recorder.(*connection); sameProvider(c.side.in, i) {
			break
		}
	}
	if c == nil {
		return errors.New("otelws: failed to start heartbeat: the connection is not watched")
	}
	return i.heartbeat(ctx, c, opts)
}

func (i *Instrumentation) heartbeat(ctx context.Context, c *connection, opts []HeartbeatOption) error {
	cfg, err := newHeartbeatConfig(opts)
	if err != nil {
		return fmt.Errorf("otelws: %w", err)
	}
	if cfg.spared[c.side.role] {
		return fmt.Errorf("otelws: failed to start heartbeat: it is not for %s connections", c.side.role)
	}
	cfg.wheel = i.wheels.of(cfg)
	if err := c.beat(ctx, cfg); err != nil {
		return fmt.Errorf("otelws: failed to start heartbeat: %w", err)
	}
	return nil
}

// wheels are the timers of heartbeats, one for each tick.
type wheels struct {
	mu  sync.Mutex
	all map[time.Duration]*wheel.Wheel
}

// of returns the wheel for heartbeats like c: a coarse one for slow ones.
func (w *wheels) of(c *heartbeatConfig) *wheel.Wheel {
	tick := max(min(c.every, c.timeout)/20, time.Millisecond).Round(time.Millisecond)
	tick = min(tick, 250*time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[tick] == nil {
		if w.all == nil {
			w.all = make(map[time.Duration]*wheel.Wheel)
		}
		w.all[tick] = wheel.New(tick)
	}
	return w.all[tick]
}

// heartbeat is the heartbeat of one connection. An idle one is a few words.
type heartbeat struct {
	conn    atomic.Pointer[connection] // nil once it has stopped
	config  *heartbeatConfig
	before  *tap.Signs // of a ping that was due, until its time has passed
	answers uint32     // pongs so far
	misses  uint16     // in a row
	wheel.Entry
}

// beat gives c a heartbeat.
func (c *connection) beat(ctx context.Context, cfg *heartbeatConfig) error {
	if !c.Signs().Open {
		return errors.New("the connection is not open")
	}
	h := &heartbeat{config: cfg}
	h.conn.Store(c)
	for {
		old := c.beats.Load()
		if old != nil && old.conn.Load() != nil {
			return errors.New("the connection has a heartbeat")
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
	// The first ping comes at any time, so that connections opened together do not
	// ping together.
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

// Fire is called when a ping is due, and when its time has passed.
func (h *heartbeat) Fire() {
	if c := h.conn.Load(); c != nil {
		go h.next(c)
	}
}

func (h *heartbeat) next(c *connection) {
	if h.before == nil {
		h.before = c.ping()
		h.config.wheel.After(h.config.timeout, h)
		return
	}
	before, after := h.before, c.Signs()
	h.before = nil
	if !after.Open {
		return
	}
	if after.Answers != h.answers { // late ones too
		h.answers, h.misses = after.Answers, 0
	}
	if after.Answers == before.Answers && !after.AliveSince(*before, h.config.timeout) {
		c.in.heartbeat.missed.Add(1)
		h.misses = min(h.misses, math.MaxUint16-1) + 1
	}
	if int(h.misses) >= h.config.misses && h.conn.Load() != nil {
		c.GiveUp()
		return
	}
	h.config.wheel.After(max(jitter(h.config.every)-h.config.timeout, 0), h)
}

// ping has a ping written, and returns the signs of life before it.
func (c *connection) ping() *tap.Signs {
	before := c.Signs()
	if !before.HasKernel {
		go c.Ping() // it may be stuck
		return &before
	}
	c.Ping()
	after := c.Signs()
	if before.Kernel.Written = after.Kernel.Written; after.Pings == before.Pings {
		before.Kernel.Written = math.MaxUint64 // it is written later, behind more
	}
	return &before
}

// jitter varies d by a tenth either way.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) - d/10
}
