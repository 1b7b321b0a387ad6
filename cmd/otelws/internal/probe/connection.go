package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// connection is one connection of a run.
type connection struct {
	attempt
	run      *runner
	c        *websocket.Conn
	wire     *wire
	opened   time.Time
	over     chan struct{} // closed when it has ended
	err      error         // the error of the Read that ended it
	messages atomic.Int64
}

// try opens a connection, uses it according to its kind, and closes it.
func (r *runner) try(ctx context.Context, a attempt) Outcome {
	o := Outcome{Kind: a.kind, Planned: a.silence.Seconds(), twin: a.twin, cut: true}
	if !pause(ctx, time.Until(r.start.Add(a.start)), nil) {
		o.End = Refused
		return o
	}
	c := &connection{attempt: a, run: r, over: make(chan struct{})}
	o.Start = time.Since(r.start).Seconds()
	if failure, err := c.open(ctx); err != nil {
		o.End, o.Error, o.refusal, o.cut = Refused, failure, err, ctx.Err() != nil
		return o
	}
	r.open.Add(1)
	defer r.open.Add(-1)
	reading, stop := context.WithCancel(context.Background())
	go c.read(reading)
	defer func() {
		stop()
		_ = c.c.CloseNow()
		<-c.over
	}()

	o.Mute = !c.ping(ctx, r.cfg.Timeout) && !c.isOver() && ctx.Err() == nil
	quietly := c.reads()
	answered := c.use(ctx, &o)
	c.report(&o, quietly, answered, ctx.Err() != nil)
	if o.open() {
		c.close()
	}
	return o
}

// open performs the handshake. If it fails, open also returns a short description of the failure.
func (c *connection) open(ctx context.Context) (failure string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.run.cfg.Timeout)
	defer cancel()
	t := &tapped{base: c.run.quiet}
	if c.kind == KeepAlive {
		t.base = c.run.keepAlive
	}
	conn, resp, err := websocket.Dial(ctx, c.run.cfg.URL, dial.Options(t, c.run.cfg.Header, c.run.cfg.Subprotocols))
	if err != nil {
		return dial.Handshake(resp, err), err
	}
	conn.SetReadLimit(-1)
	c.c, c.wire, c.opened = conn, t.wire, time.Now()
	return "", nil
}

// read discards all messages until the connection ends.
func (c *connection) read(ctx context.Context) {
	defer close(c.over)
	for {
		_, r, err := c.c.Reader(ctx)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			c.err = err
			return
		}
		c.messages.Add(1)
	}
}

func (c *connection) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

func (c *connection) reads() int {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	return c.wire.reads
}

// ping returns true if the server answered a ping in time.
func (c *connection) ping(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.c.Ping(ctx) == nil
}

// ask sends a ping. It returns true if the server sent anything in time.
func (c *connection) ask(ctx context.Context, limit time.Duration) bool {
	before := c.reads()
	// Any bytes from the server show that the connection works. c.isOver tells
	// whether they were its end.
	return c.ping(ctx, limit) || c.reads() > before && !c.isOver()
}

// use sends the traffic of the connection's kind until the connection is old enough
// or has ended, or ctx is done. It returns false if the last ping got no answer.
func (c *connection) use(ctx context.Context, o *Outcome) (answered bool) {
	if c.kind == Silent {
		return c.beSilent(ctx, o)
	}
	for time.Since(c.opened) < c.run.cfg.Max {
		if !pause(ctx, min(c.run.cfg.Every, time.Until(c.opened.Add(c.run.cfg.Max))), c.over) {
			return true
		}
		switch c.kind {
		case Pong:
			_ = c.wire.pong()
		case Message:
			ctx, cancel := context.WithTimeout(ctx, c.run.cfg.Timeout)
			_ = c.c.Write(ctx, websocket.MessageText, []byte(c.run.cfg.Message))
			cancel()
		case Ping:
			limit := c.run.cfg.Timeout
			if o.Mute {
				limit = min(limit, c.run.cfg.Every)
			}
			o.Age = time.Since(c.opened).Seconds()
			if !c.ask(ctx, limit) && !o.Mute && !c.isOver() && ctx.Err() == nil {
				return false
			}
		}
	}
	return c.askLast(ctx, o)
}

func (c *connection) beSilent(ctx context.Context, o *Outcome) (answered bool) {
	for {
		left := min(c.silence-c.wire.silence(), time.Until(c.opened.Add(c.run.cfg.Max)))
		if left <= 0 {
			return c.askLast(ctx, o)
		}
		if !pause(ctx, left, c.over) {
			return true
		}
	}
}

// askLast sends the ping that shows whether the connection is still open.
func (c *connection) askLast(ctx context.Context, o *Outcome) bool {
	if c.isOver() || ctx.Err() != nil {
		return true
	}
	o.Age, o.Silence, o.Asked = time.Since(c.opened).Seconds(), c.wire.silence().Seconds(), true
	return c.ask(ctx, c.run.cfg.Timeout) || o.Mute || ctx.Err() != nil
}

// report completes the outcome. An interrupted connection counts as open.
func (c *connection) report(o *Outcome, quietly int, answered, interrupted bool) {
	o.Messages = int(c.messages.Load())
	// An interrupted Ping closes the connection.
	over := c.isOver() && !(interrupted && errors.Is(c.err, net.ErrClosed))
	w := c.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	o.cut = interrupted && !over && answered
	o.Outlived = w.outlived.Seconds()
	if c.kind == Silent {
		o.Unasked = w.reads - quietly
		if o.Asked && o.Unasked > 0 {
			o.Unasked-- // the answer
		}
	}
	switch {
	case over:
		o.ended(c.err, w.err)
		if o.End == Close && o.Unasked > 0 {
			o.Unasked--
		}
		if o.Asked {
			return
		}
		at, silence := w.at, w.at.Sub(w.last)
		if o.End == Close || w.err == nil { // w.err: nil if what came is no WebSocket frame
			at, silence = w.lastIn, w.before
			o.Outlived = w.previous.Seconds() // the close frame ended the silence, so the connection did not outlive it
		}
		o.Age, o.Silence = at.Sub(c.opened).Seconds(), silence.Seconds()
	case !answered:
		o.End = Nothing
	default:
		o.Asked = false
		o.Age = time.Since(c.opened).Seconds()
	}
}

// close closes a connection that is still open, and waits for a second at most. It then closes the
// wire, because CloseNow only waits for Close.
func (c *connection) close() {
	late := time.AfterFunc(time.Second, func() { _ = c.wire.Close() })
	defer late.Stop()
	_ = c.c.Close(websocket.StatusNormalClosure, "")
}

// pause waits for d. It returns false if ctx is done or over is closed before.
func pause(ctx context.Context, d time.Duration, over <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-over:
	}
	return false
}
