package otelws

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// conn is the tap: it passes the bytes of a transport on, unchanged and at
// once, and reads the frames that go by. Where it cannot read them it stops
// reading, and passes bytes on all the same.
//
// Its locks are held for the time that it takes to read headers, never during
// I/O. They are taken in the order inbound, outbound, life.
type conn struct {
	rwc       io.ReadWriteCloser
	handshake *handshake
	side      *side

	// Set by open.
	set      *set
	shard    *shard
	messages [len(directions)]*sizes // nil where an instrument records them
	decoding *decoding               // nil where compressed messages are not decoded
	sampled  bool                    // ctx holds a span context
	ctx      context.Context         // for exemplars
	start    instant

	state    atomic.Uint32
	timedOut atomic.Bool   // a deadline has passed, and no bytes since
	pongs    atomic.Uint32 // pings answered
	inbound  inbound
	outbound outbound
	life     lifecycle
}

// The states of a conn.
const (
	pending uint32 = iota // the response has not gone out
	live
	ended
	foreign // no WebSocket: bytes pass unread
)

// inbound is what has been read from the peer.
type inbound struct {
	begun    atomic.Uint32 // Reads
	mu       sync.Mutex
	returned uint32 // Reads
	frames   frame.Parser
	waiting  []byte // came before the response had gone out
	totals
}

// outbound is what is written to the peer. Its frames are read ahead of the
// write, since the answer to a ping or a close can be read before Write
// returns, and counted after it.
type outbound struct {
	mu       sync.Mutex
	frames   frame.Parser
	head     []byte // of a response that the library writes itself, so far
	begun    uint32 // writes
	returned uint32 // writes
	last     instant
	totals
}

type totals struct {
	messages int64
	bytes    int64
}

// Bounds on what is kept of a handshake in progress. A peer or a handler that
// goes beyond is no WebSocket's.
const (
	maxWaiting = 64 << 10
	maxHead    = 64 << 10
)

func newConn(h *handshake, rwc io.ReadWriteCloser) *conn {
	return &conn{rwc: rwc, handshake: h, side: h.side}
}

// early takes note of what the server read before the response. It is the
// first part of the inbound traffic.
func (c *conn) early(brw *bufio.ReadWriter) {
	if brw == nil || brw.Reader == nil {
		return
	}
	b, _ := brw.Reader.Peek(brw.Reader.Buffered())
	c.inbound.waiting = bytes.Clone(b)
}

func (c *conn) Read(p []byte) (int, error) {
	c.inbound.begun.Add(1)
	n, err := c.rwc.Read(p)
	c.received(p[:n])
	if err != nil {
		c.failed(err)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	switch c.state.Load() {
	case foreign:
		return c.rwc.Write(p)
	case pending:
		return c.writeHead(p)
	}
	begun := now()
	var w write
	c.sending(&w, p, begun)
	c.shard.beginWrite(begun)
	n, err := c.rwc.Write(p)
	c.shard.endWrite(begun, now())
	c.sent(p, n, &w)
	if err != nil {
		c.failed(err)
	}
	return n, err
}

// Close ends the connection and closes the transport.
func (c *conn) Close() error {
	c.closing()
	return c.rwc.Close()
}

// received reads what has come from the peer.
func (c *conn) received(b []byte) {
	in := &c.inbound
	in.mu.Lock()
	defer in.mu.Unlock()
	in.returned++
	if len(b) == 0 {
		return
	}
	switch c.state.Load() {
	case foreign:
		return
	case pending:
		if len(in.waiting)+len(b) > maxWaiting {
			c.abandon(0)
			return
		}
		in.waiting = append(in.waiting, b...)
		return
	}
	c.progress()
	c.readInbound(b)
}

// progress takes note that bytes have passed.
func (c *conn) progress() {
	if c.timedOut.Load() {
		c.timedOut.Store(false)
	}
}

func (c *conn) readInbound(b []byte) {
	in := &c.inbound
	c.countBytes(receive, &in.totals, len(b))
	c.countFrames(receive, &in.frames, &in.totals, b)
}

// write is what sending has read in a Write, and sent is to count.
type write struct {
	before  frame.Parser // as it was at the beginning
	frame   frame.Frame  // the last one that ends
	frames  int
	decoded []int64 // of the compressed messages that end before it
	err     frame.Error
}

// sending reads what is about to be written, for the frames that the peer may
// answer before the write returns.
func (c *conn) sending(w *write, b []byte, at instant) {
	out := &c.outbound
	out.mu.Lock()
	defer out.mu.Unlock()
	out.begun++
	out.last = at
	w.before = out.frames
	for len(b) > 0 {
		f, n, ok, err := out.frames.Next(b)
		b = b[n:]
		if !ok {
			w.err = err
			break
		}
		if w.frames > 0 && w.frame.Compressed {
			w.decoded = append(w.decoded, w.frame.Decoded)
		}
		w.frame = f
		w.frames++
		switch f.Opcode {
		case frame.Ping:
			c.pinged(&f)
		case frame.Close:
			c.closeFrame(&f, InitiatorLocal)
		}
	}
}

// sent counts the first n bytes of b, which have been written.
func (c *conn) sent(b []byte, n int, w *write) {
	out := &c.outbound
	out.mu.Lock()
	defer out.mu.Unlock()
	out.returned++
	if n == 0 {
		return
	}
	c.progress()
	c.countBytes(transmit, &out.totals, n)
	switch {
	case n < len(b) || w.frames > 1:
		again := w.before.Clone()
		if c.decoding != nil {
			again.Decode(&replay{decoded: w.decoded, last: w.frame.Decoded})
		}
		c.countFrames(transmit, &again, &out.totals, b[:n])
		return
	case w.frames == 1:
		c.countFrame(transmit, &w.frame, &out.totals)
	}
	c.countError(w.err)
}

// The count functions count what has passed in one direction, whose lock is
// held.

func (c *conn) countBytes(d direction, t *totals, n int) {
	c.shard.bytes[d].Add(int64(n))
	t.bytes += int64(n)
}

func (c *conn) countFrames(d direction, p *frame.Parser, t *totals, b []byte) {
	for len(b) > 0 {
		f, n, ok, err := p.Next(b)
		if !ok {
			c.countError(err)
			return
		}
		b = b[n:]
		c.countFrame(d, &f, t)
	}
}

func (c *conn) countError(err frame.Error) {
	if err != frame.None {
		c.side.protocol[err].count.Add(1)
	}
}

func (c *conn) countFrame(d direction, f *frame.Frame, t *totals) {
	c.shard.frames[d][opcodeIndex[f.Opcode]].Add(1)
	if f.Message >= 0 {
		t.messages++
		size := f.Message
		if f.Compressed && f.Decoded >= 0 {
			size = f.Decoded
			c.decoding.shard.add(d, f.Message, size)
		}
		c.recordMessage(d, size)
		return
	}
	switch {
	case d == receive && f.Opcode == frame.Pong:
		c.ponged(f)
	case d == receive && f.Opcode == frame.Close:
		c.closeFrame(f, InitiatorPeer)
	case d == transmit && f.Opcode == frame.Ping:
		c.pingSent()
	case d == transmit && f.Opcode == frame.Close:
		c.closeSent()
	}
}

// recordMessage is the only place that records a message.
func (c *conn) recordMessage(d direction, size int64) {
	counted := c.messages[d]
	if counted == nil {
		c.side.instruments.messages[d].Record(c.ctx, size, c.set.messages.record...)
		return
	}
	counted.add(size)
	if c.sampled {
		c.set.messages.exemplars[d](c.ctx, size)
	}
}

// netConn is a conn whose transport is a net.Conn.
type netConn struct {
	net.Conn
	conn *conn
}

func (c *netConn) Read(p []byte) (int, error)  { return c.conn.Read(p) }
func (c *netConn) Write(p []byte) (int, error) { return c.conn.Write(p) }
func (c *netConn) Close() error                { return c.conn.Close() }

// NetConn returns the connection beneath the tap. What is read from it or
// written to it is not seen.
func (c *netConn) NetConn() net.Conn { return c.Conn }

// closeWriter is what ReverseProxy closes one direction of a tunnel by.
type closeWriter interface{ CloseWrite() error }

func netConnOf(c *conn, nc net.Conn) net.Conn {
	tap := &netConn{Conn: nc, conn: c}
	if cw, ok := nc.(closeWriter); ok {
		return struct {
			*netConn
			closeWriter
		}{tap, cw}
	}
	return tap
}

// bodyOf returns a conn as the body of a 101 response. That of [http.Transport]
// is no net.Conn; another's may be, and a library takes its addresses from it.
func bodyOf(c *conn) io.ReadWriteCloser {
	if nc, ok := c.rwc.(net.Conn); ok {
		return netConnOf(c, nc)
	}
	if cw, ok := c.rwc.(closeWriter); ok {
		return struct {
			*conn
			closeWriter
		}{c, cw}
	}
	return c
}
