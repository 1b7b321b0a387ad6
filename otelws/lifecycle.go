package otelws

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
	"weak"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// lifecycle is what begins and ends a connection. Its lock guards every change
// of conn.state.
type lifecycle struct {
	mu sync.Mutex

	close         *closeFrame // the first one in either direction
	closeSent     bool        // a close frame has been written whole
	closeReceived bool
	gaveUp        bool   // the heartbeat ends the connection
	goneBefore    bool   // the peer had left before the response went out
	pingsSent     uint32 // that have been written whole
	pongs         uint32 // that answered a ping
	pings         *pings // nil until there was one

	// As far as Accept, Dial or Heartbeat told, until the end.
	heartbeat *heartbeat
	ws        *websocket.Conn
	owner     *Instrumentation
}

// closeFrame is one that has passed, or is about to.
type closeFrame struct {
	code      websocket.StatusCode
	reason    string
	initiator Initiator
}

// prepare makes the parsers, once the extensions are known.
func (c *conn) prepare() {
	rsv := c.handshake.rsv
	accepted := c.side.role == server
	c.inbound.frames = frame.New(accepted, rsv)
	c.outbound.frames = frame.New(!accepted, rsv)
	// RSV1 alone: with another extension, payloads need not be DEFLATE.
	if c.side.in.config.decoded && rsv == frame.RSV1 {
		c.decoding = new(decoding)
		c.inbound.frames.Decode(&c.decoding.decoders[receive])
		c.outbound.frames.Decode(&c.decoding.decoders[transmit])
	}
}

// open begins the connection: the response has gone out. What the peer had
// sent before is read now.
func (c *conn) open() {
	if !c.handshake.settle() {
		return
	}
	t := c.side.setOf(c.handshake)

	in, out := &c.inbound, &c.outbound
	in.mu.Lock()
	defer in.mu.Unlock()
	if !c.begin(t) {
		return
	}
	if early := c.handshake.waiting; early != nil {
		c.readInbound(early.Bytes())
		c.handshake.waiting = nil
	}
	in.settle()
	out.mu.Lock()
	defer out.mu.Unlock()
	out.settle()
}

func (c *conn) begin(t *set) bool {
	h, l := c.handshake, &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.state.Load() != pending { // closed while the response went out
		h.record(t, 0)
		h.request = nil
		return false
	}
	h.record(t, http.StatusSwitchingProtocols)
	c.set = t
	c.shard = t.tally.shard()
	c.sums = newSums(h)
	alone := c.sums == nil && !c.side.recordsMessages
	c.inbound.alone, c.outbound.alone = alone, alone
	// net/http reads ahead until the hijack, and cancels the request at an EOF.
	l.goneBefore = c.side.role == server && errors.Is(h.request.Context().Err(), context.Canceled)
	c.start = now()
	h.request = nil // its context may lead to the connection
	t.opened.Add(1)
	c.state.Store(live)
	return true
}

// newSums returns nil where nobody is told of the end.
func newSums(h *handshake) *sums {
	kept, ctx := h.kept(), spanContextOnly(h.request.Context())
	if kept == nil && ctx == context.Background() {
		return nil
	}
	s := new(sums)
	if ctx != context.Background() {
		s.sampled = ctx
	}
	if kept != nil {
		s.request, s.remains = weak.Make(kept), kept.WithContext(ctx)
	}
	return s
}

// abandon gives up a connection that is none: its handshake ended with status.
func (c *conn) abandon(status int) {
	c.life.mu.Lock()
	was := c.state.Load()
	if was == pending {
		c.state.Store(foreign)
	}
	c.life.mu.Unlock()
	if was == pending {
		c.handshake.end(status)
	}
}

// closing ends the connection because this side closes the transport.
func (c *conn) closing() ending {
	by := InitiatorLocal
	stuck := c.writeStuck()
	c.life.mu.Lock()
	switch {
	case c.life.gaveUp || stuck || c.timedOut.Load():
		by = InitiatorTimeout
	case c.life.goneBefore:
		by = InitiatorPeer
	}
	c.life.mu.Unlock()
	c.abandon(0)
	return c.end(by, nil)
}

// writeStuck says whether a Write has gone on for so long that it must be what
// the transport is closed for: the deadline of its context has passed, which
// coder/websocket answers by that.
func (c *conn) writeStuck() bool {
	long := time.Second
	c.life.mu.Lock()
	if h := c.life.heartbeat; h != nil {
		long = min(long, h.config.timeout/2)
	}
	c.life.mu.Unlock()
	// On average, since the longest of them has taken no less.
	sum, n := c.outbound.writing.elapsed(now())
	return n > 0 && sum >= long*time.Duration(n)
}

// failed ends the connection if err, from the transport, ends it.
func (c *conn) failed(err error) {
	by, terminal := classify(err)
	if !terminal {
		c.timedOut.Store(true)
		return
	}
	c.abandon(0)
	c.tell(c.end(by, err))
}

// classify says whether an error from a transport ends it, and by whom.
func classify(err error) (by Initiator, terminal bool) {
	var ne net.Error
	switch {
	case errors.Is(err, syscall.ETIMEDOUT): // its Timeout is true, and it is final
		return InitiatorTimeout, true
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return InitiatorTimeout, false
	case errors.Is(err, net.ErrClosed):
		return InitiatorLocal, true
	}
	return InitiatorPeer, true
}

// ending is what there is to tell of a connection that has ended. The zero value
// is nothing.
type ending struct {
	closeFrame
	cause error
	at    instant
	ws    *websocket.Conn
	owner *Instrumentation
}

// end ends the connection, once. by is who ended it if no close frame tells.
func (c *conn) end(by Initiator, cause error) (e ending) {
	l := &c.life
	l.mu.Lock()
	if c.state.Load() != live {
		l.mu.Unlock()
		return e
	}
	c.state.Store(ended)

	e = ending{closeFrame{websocket.StatusAbnormalClosure, "", by}, cause, 0, l.ws, l.owner}
	if l.close != nil && c.closeStands(cause) {
		e.closeFrame = *l.close
	}
	hb := l.heartbeat
	// They refer to the tap, and the runtime to c for as long as there is one.
	l.heartbeat, l.ws, l.owner = nil, nil, nil
	l.mu.Unlock()

	e.at = now()
	place := c.side.codes.fold(e.code)
	c.recordEnd(place, e.initiator, e.at)
	// Last, so that whoever sees the connection closed sees all of it.
	c.set.closed[place].Add(1)
	if hb != nil {
		hb.stop()
		hb.release()
	}
	return e
}

// tell tells those who want to know of the end, and then a Drain that waits.
func (c *conn) tell(e ending) {
	if e.at != 0 && c.sums != nil {
		c.summarize(&e)
	}
	if e.owner != nil {
		e.owner.conns.Delete(e.ws)
	}
}

// closeStands says whether the first close frame was one, which is not so
// where this side wrote it and it never left: the transport failed or was
// closed under the write. On EOF it may have left while Write has not returned.
// It is called with the lock held.
func (c *conn) closeStands(cause error) bool {
	l := &c.life
	return l.close.initiator == InitiatorPeer || l.closeSent || l.closeReceived || errors.Is(cause, io.EOF)
}

func (c *conn) recordEnd(code int, by Initiator, at instant) {
	opts := c.set.durations[code*len(initiators)+int(by)].get(c.set.durationAttrs,
		keyCode.String(c.side.codes.values[code]), keyInitiator.String(by.String()))
	c.side.instruments.duration.Record(c.context(), (at - c.start).Seconds(), opts.record...)
}

// closeFrame takes note of a close frame.
func (c *conn) closeFrame(f *frame.Frame, by Initiator) {
	var buf [frame.MaxControlPayload]byte
	code, reason, err := parseClose(f.AppendPayload(buf[:0]))
	if err != frame.None {
		c.side.protocol[err].count.Add(1)
	}
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if by == InitiatorPeer {
		l.closeReceived = true
	}
	// A close frame of the peer's own says more than one that is stuck here.
	stuck := l.close != nil && by == InitiatorPeer && l.close.initiator == InitiatorLocal && !l.closeSent && code != l.close.code
	if l.close == nil || stuck {
		l.close = &closeFrame{code, reason, by}
	}
}

func (c *conn) closeSent() {
	c.life.mu.Lock()
	c.life.closeSent = true
	c.life.mu.Unlock()
}
