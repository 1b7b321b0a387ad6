package otelws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// HeartbeatOption configures a heartbeat.
type HeartbeatOption interface{ applyHeartbeat(*heartbeatConfig) }

type heartbeatOptionFunc func(*heartbeatConfig)

func (f heartbeatOptionFunc) applyHeartbeat(c *heartbeatConfig) { f(c) }

type heartbeatConfig struct {
	every   time.Duration
	timeout time.Duration
	misses  int
}

// Every sets the time from one ping to the next, which varies by a tenth. It is
// 30 seconds by default.
func Every(d time.Duration) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.every = d })
}

// PongTimeout sets how long a pong may take, at most the time between two
// pings. It is 10 seconds by default, or that time if it is shorter. For the
// application's own write to end, a ping waits no longer than that, and five
// seconds at most.
func PongTimeout(d time.Duration) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.timeout = d })
}

// Misses sets how many pongs may be missed, with none between them, late ones
// too, before the connection is ended. It is 2 by default.
func Misses(n int) HeartbeatOption {
	return heartbeatOptionFunc(func(c *heartbeatConfig) { c.misses = n })
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
	}
	return c, nil
}

// Heartbeat pings the peer of ws on a schedule, so that ws.heartbeat.rtt is
// recorded, and ends the connection of a peer that stopped answering: its
// transport is closed at once, which is counted as 1006, by timeout. It returns
// at once; the heartbeat ends with the connection or with ctx, whichever comes
// first. The context of a request is cancelled when its handler returns.
//
// A pong is missed if it has not come in time, and nothing else has, although
// this side was reading. An application that is slow to read does not look like
// a dead peer, nor does a peer whose bytes keep coming; an application that only
// writes must call [websocket.Conn.CloseRead], or else no pong is read.
//
// A pong is also missed if the ping could not be written for a Write of the
// application that goes on. As many misses in a row as the option Misses allows
// are those of one Write: one that lasts from ping to ping looks like a peer that
// takes nothing, so that what is large is written in parts. A ping that is itself
// stuck in the transport ends the connection at once, after the timeout or five
// seconds: coder/websocket closes it then.
//
// It returns an error for a wrong option, for a connection that has ended or
// has a heartbeat, and for one that is not watched, by a Handler, a Transport,
// Accept or Dial, as far as it can tell: a transport of the application's own
// between the library and the tap hides that.
//
// An idle connection costs a timer, and a goroutine only while a ping is
// unanswered.
func (i *Instrumentation) Heartbeat(ctx context.Context, ws *websocket.Conn, opts ...HeartbeatOption) error {
	cfg, err := newHeartbeatConfig(opts)
	if err != nil {
		return fmt.Errorf("otelws: %w", err)
	}
	if ws == nil {
		return errors.New("otelws: failed to start heartbeat: the connection is nil")
	}
	c := i.lookup(ws)
	if c == nil {
		c = i.tapBeneath(ws)
	}
	if c == nil {
		return errors.New("otelws: failed to start heartbeat: the connection is not watched: put Handler or Transport around it, or open it by Accept or Dial")
	}
	if err := i.beat(ctx, ws, c, cfg); err != nil {
		return fmt.Errorf("otelws: failed to start heartbeat: %w", err)
	}
	return nil
}

// heartbeat is that of one connection.
type heartbeat struct {
	conn    *conn
	ws      *websocket.Conn
	config  *heartbeatConfig
	timer   *time.Timer
	release func() bool // lets go of the context
	stopped atomic.Bool

	misses   int
	answered uint32 // pongs by the end of the last ping
	stuck    uint64 // the writing that kept the last missed ping from being written
}

func (i *Instrumentation) beat(ctx context.Context, ws *websocket.Conn, c *conn, cfg *heartbeatConfig) error {
	if !c.adopt(i, ws) {
		return errors.New("the connection has ended")
	}
	h := &heartbeat{conn: c, ws: ws, config: cfg, release: func() bool { return true }}
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.state.Load() != live:
		return errors.New("the connection has ended")
	case l.heartbeat != nil && !l.heartbeat.stopped.Load():
		return errors.New("the connection has a heartbeat")
	}
	l.heartbeat = h
	// The first ping comes at any time, so that connections opened together
	// do not ping together.
	h.timer = time.AfterFunc(rand.N(cfg.every), h.ping)
	if ctx.Done() != nil {
		h.release = context.AfterFunc(ctx, h.stop)
	}
	return nil
}

func (h *heartbeat) stop() {
	h.stopped.Store(true)
	h.timer.Stop()
}

// ping sends one ping, waits for its pong, and sets the timer for the next.
func (h *heartbeat) ping() {
	if h.stopped.Load() {
		return
	}
	c, begun := h.conn, time.Now()
	before := c.signs()

	// Not the context of the heartbeat: coder/websocket closes a connection
	// whose context is cancelled during a write.
	ctx, cancel := context.WithTimeout(context.Background(), h.config.timeout)
	err := h.ws.Ping(ctx)
	cancel()

	// With any other error, the connection is closing.
	missed := errors.Is(err, context.DeadlineExceeded) && h.missed(before)
	if pongs := c.signs().pongs; pongs != h.answered {
		h.answered, h.misses = pongs, 0 // late ones too
	}
	if missed {
		c.set.heartbeat.missed.Add(1)
		h.misses++
	}
	if h.misses >= h.config.misses && !h.stopped.Load() {
		c.giveUp()
		_ = h.ws.CloseNow()
		return
	}
	if !h.stopped.Load() {
		h.timer.Reset(jitter(h.config.every) - time.Since(begun))
	}
}

// missed says whether it is the peer that failed to answer a ping, before which
// the signs of its life were as given. A Read that goes on is proof that nothing
// has come, once it has gone on for a moment.
func (h *heartbeat) missed(before signs) bool {
	c, after := h.conn, h.conn.signs()
	switch {
	case after.reads != before.reads && !c.timedOut.Load(): // which no byte follows
		return false
	case after.pings == before.pings:
		stuck := c.outbound.writing.word.Load()
		if stuck == 0 || stuck != h.stuck {
			h.stuck, h.misses = stuck, 0 // another Write than last time
		}
		return true
	case !c.reading(after):
		return false
	}
	time.Sleep(min(h.config.timeout/4, 100*time.Millisecond))
	again := c.signs()
	return again.reads == after.reads && again.pongs == before.pongs
}

// signs are those of a connection's life so far.
type signs struct {
	reads        uint32 // that have returned
	pings, pongs uint32 // that were sent, that answered one
}

func (c *conn) signs() signs {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	return signs{c.inbound.returned.Load(), c.life.pingsSent, c.life.pongs}
}

// reading says whether a Read is in progress that was so at the signs.
func (c *conn) reading(at signs) bool { return c.inbound.begun.Load() != at.reads }

// giveUp ends the connection of a peer that does not answer.
func (c *conn) giveUp() {
	c.life.mu.Lock()
	c.life.gaveUp = true
	c.life.mu.Unlock()
	_ = c.Close()
}

// jitter varies d by a tenth either way.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/5+1) - d/10
}
