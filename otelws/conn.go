package otelws

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// conn is the tap: it passes the bytes of a transport on, unchanged and at
// once, and reads the frames that go by. Where it cannot read them it stops
// reading, and passes bytes on all the same.
//
// A message that is one frame, and one Read or Write, as most are, is counted
// without a lock. For the rest there are locks, which are held for the time that
// it takes to read headers, never during I/O, and are taken in the order inbound,
// outbound, life, and then a drain's.
type conn struct {
	rwc      io.ReadWriteCloser
	side     *side
	shard    *shard // set by open
	state    atomic.Uint32
	timedOut atomic.Bool // a deadline has passed, and no bytes since
	inbound  inbound
	outbound outbound

	handshake *handshake
	set       *set      // set by open
	sums      *sums     // set by open, nil where nobody asks for them at the end
	decoding  *decoding // nil where compressed messages are not decoded
	start     instant
	life      lifecycle
}

// The states of a conn.
const (
	pending uint32 = iota // the response has not gone out
	live
	ended
	foreign // no WebSocket: bytes pass unread
)

// stream is what passes in one direction.
type stream struct {
	// whole says that the connection is live, and that no message or frame is
	// under way: Parser.Whole alone may tell what comes next. It changes with the
	// lock held.
	whole  atomic.Bool
	alone  bool   // the shard alone is to know of a message; set by open
	read   uint16 // how often frames has read, to tell whether it has since
	mu     sync.Mutex
	frames frame.Parser
}

// sums are what has passed, and the rest of what is told at the end.
type sums struct {
	passed  [len(directions)]struct{ messages, bytes atomic.Int64 }
	sampled context.Context // with the span context, nil where it is not sampled

	// For the Summary: for as long as the application has the connection the
	// request as it was, to whose context it may belong, and else without that.
	request weak.Pointer[http.Request]
	remains *http.Request
}

// inbound is what is read from the peer.
type inbound struct {
	begun, returned atomic.Uint32 // Reads
	stream
}

// outbound is what is written to the peer. Its frames are read ahead of the
// write, since the answer to a ping or a close can be read before Write
// returns, and counted after it.
type outbound struct {
	writing writing // the Writes in progress
	stream
}

func (c *conn) Read(p []byte) (int, error) {
	in := &c.inbound
	in.begun.Add(1)
	n, err := c.rwc.Read(p)
	if size := in.wholeMessage(p[:n]); size >= 0 {
		c.countWhole(receive, c.shard.wholeMessages(receive, opcodeOf(p)), size)
		if !in.alone {
			c.noteWhole(receive, size, n)
		}
	} else if n > 0 {
		c.received(p[:n])
	}
	in.returned.Add(1)
	if err != nil {
		c.failed(err)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	size := c.outbound.wholeMessage(p)
	if size < 0 {
		return c.writeFrames(p)
	}
	whole := c.shard.wholeMessages(transmit, opcodeOf(p))
	n, err := c.write(p, &whole.writing)
	switch {
	case n == len(p):
		c.countWhole(transmit, whole, size)
		if !c.outbound.alone {
			c.noteWhole(transmit, size, n)
		}
	case n > 0:
		c.sentPart(p[:n])
	}
	if err != nil {
		c.failed(err)
	}
	return n, err
}

// writeFrames is Write for whatever is not a whole message.
func (c *conn) writeFrames(p []byte) (int, error) {
	switch c.state.Load() {
	case foreign:
		return c.rwc.Write(p)
	case pending:
		return c.writeHead(p)
	}
	var w readAhead
	c.sending(&w, p)
	n, err := c.write(p, &c.shard.whole[transmit][0].writing)
	c.sent(p, n, &w)
	if err != nil {
		c.failed(err)
	}
	return n, err
}

// write writes p, and counts the time that it takes.
func (c *conn) write(p []byte, shared *writing) (int, error) {
	out, begun := &c.outbound, now()
	out.writing.add(begun)
	shared.add(begun)
	n, err := c.rwc.Write(p)
	c.shard.endWrite(shared, begun, now())
	out.writing.remove(begun)
	return n, err
}

// Close ends the connection and closes the transport, and tells of it after
// that: the functions that are told must not hold a descriptor.
func (c *conn) Close() error {
	end := c.closing()
	err := c.rwc.Close()
	c.tell(end)
	return err
}

func opcodeOf(b []byte) frame.Opcode { return frame.Opcode(b[0] & 0x0f) }

// wholeMessage returns the size of the message that b is, and -1 where its
// frames are to be read one by one.
func (s *stream) wholeMessage(b []byte) int {
	if !s.whole.Load() {
		return -1
	}
	if size := s.frames.Whole(b); size <= maxWhole {
		return size
	}
	return -1
}

// settle brings whole up to date. It is called with the lock held.
func (s *stream) settle() {
	if whole := s.frames.BetweenMessages(); whole != s.whole.Load() {
		s.whole.Store(whole)
	}
}

// received reads what has come from the peer.
func (c *conn) received(b []byte) {
	in := &c.inbound
	in.mu.Lock()
	defer in.mu.Unlock()
	switch c.state.Load() {
	case foreign:
		c.handshake.waiting = nil
		return
	case pending:
		if !c.handshake.hold(b) {
			c.abandon(0)
			c.handshake.waiting = nil
		}
		return
	}
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
	c.countBytes(receive, len(b))
	c.countFrames(receive, &in.frames, b)
	in.settle()
}

// readAhead is what sending has read of a Write, and sent is to count.
type readAhead struct {
	before frame.Parser // as it was at the beginning
	read   uint16       // of outbound, at the end
	// Whether the Decoder was asked: one that is behind is given up.
	decoding bool
	frame    frame.Frame // the last one that ends
	frames   int
	decoded  []int64 // of the compressed messages that end before it
	err      frame.Error
}

// sending reads what is about to be written, for the frames that the peer may
// answer before the write returns.
func (c *conn) sending(w *readAhead, b []byte) {
	out := &c.outbound
	out.mu.Lock()
	defer out.mu.Unlock()
	w.before, w.decoding = out.frames.Clone(), out.frames.Decodes()
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
	out.read++
	w.read = out.read
	if c.state.Load() != pending {
		out.settle()
	}
}

// sent counts the first n bytes of b, which have been written. The rest may be
// written again, as after a deadline: it is then read again, too.
func (c *conn) sent(b []byte, n int, w *readAhead) {
	out := &c.outbound
	out.mu.Lock()
	defer out.mu.Unlock()
	if n > 0 {
		c.countBytes(transmit, n)
	}
	switch {
	case n < len(b) || w.frames > 1:
		again := w.before
		if w.decoding {
			again.Decode(&replay{decoded: w.decoded, last: w.frame.Decoded})
		}
		c.countFrames(transmit, &again, b[:n])
		if n < len(b) && out.read == w.read {
			out.frames = again.Clone() // without the Decoder, which cannot go back
			out.settle()
		}
		return
	case w.frames == 1:
		c.countFrame(transmit, &w.frame)
	}
	c.countError(w.err)
}

// sentPart counts b, the first part of what would have been a whole message.
func (c *conn) sentPart(b []byte) {
	out := &c.outbound
	out.mu.Lock()
	defer out.mu.Unlock()
	c.countBytes(transmit, len(b))
	c.countFrames(transmit, &out.frames, b)
	out.read++
	out.settle()
}

// The count functions count what has passed in one direction. Its lock is held
// where the connection is not known to stand between messages.

func (c *conn) countBytes(d direction, n int) {
	c.progress()
	c.shard.other[d].bytes.Add(int64(n))
	if c.sums != nil {
		c.sums.passed[d].bytes.Add(int64(n))
	}
}

// countWhole counts a message and its bytes.
func (c *conn) countWhole(d direction, w *wholeMessages, size int) {
	c.progress()
	w.add(size)
}

// noteWhole takes note of a message of n bytes on the wire where others than the
// shard are to know of it.
func (c *conn) noteWhole(d direction, size, n int) {
	if c.sums != nil {
		c.sums.passed[d].messages.Add(1)
		c.sums.passed[d].bytes.Add(int64(n))
	}
	c.recordMessage(d, int64(size))
}

func (c *conn) countFrames(d direction, p *frame.Parser, b []byte) {
	for len(b) > 0 {
		f, n, ok, err := p.Next(b)
		if !ok {
			c.countError(err)
			return
		}
		b = b[n:]
		c.countFrame(d, &f)
	}
}

func (c *conn) countError(err frame.Error) {
	if err != frame.None {
		c.side.protocol[err].count.Add(1)
	}
}

func (c *conn) countFrame(d direction, f *frame.Frame) {
	other := &c.shard.other[d]
	other.frames[opcodeIndex[f.Opcode]].Add(1)
	if f.Message >= 0 {
		if c.sums != nil {
			c.sums.passed[d].messages.Add(1)
		}
		size := f.Message
		if f.Compressed && f.Decoded >= 0 {
			size = f.Decoded
			other.wire.Add(f.Message)
			other.decoded.Add(size)
		}
		other.addMessage(size)
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

// recordMessage is what becomes of a message beside the count in its shard.
func (c *conn) recordMessage(d direction, size int64) {
	if instrument := c.side.instruments.messages[d]; instrument != nil {
		instrument.Record(c.context(), size, c.set.messages.record...)
		return
	}
	if c.sums != nil && c.sums.sampled != nil {
		c.set.messages.exemplars[d](c.sums.sampled, size)
	}
}

// context returns the context of a measurement, for exemplars.
func (c *conn) context() context.Context {
	if c.sums != nil && c.sums.sampled != nil {
		return c.sums.sampled
	}
	return context.Background()
}
