package tap

import (
	"sync"
	"sync/atomic"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// session is the state of a Conn that is, or was, a WebSocket.
//
// Most messages are one frame, and one Read or Write. These are counted without a lock. For
// everything else there are locks. They are held only while headers are read, never during I/O. The
// order of locking is inbound, outbound, verdict.
type session struct {
	// The fields that each Read and Write needs come first. Their order is the one that needs the
	// fewest cache lines in a server with many connections.
	conn     *Conn
	shard    *count.Shard
	speaker  atomic.Pointer[speaker] // nil until the tap must send a frame
	writing  count.Writing           // the Writes in progress
	flags    flags
	messages bool // a message needs more than counting
	recorded bool // Recorder.Message is called
	inbound  stream
	outbound stream

	kinds    *kinds // nil if kinds are not read
	start    clock.Instant
	closes   func() // Opening.Closing
	deadline deadline
	parts    atomic.Int64  // bytes written in parts
	controls atomic.Uint32 // control frames received
	failed   atomic.Uint32 // Reads that have returned an error
	verdict  verdict
}

// flags are properties of a session that change rarely.
type flags struct{ bits atomic.Uint32 }

const (
	timedOut   = 1 << iota // a deadline has passed, and no byte since
	stopped                // Reads were interrupted by a deadline
	inParts                // large Writes are cut into parts
	halfClosed             // CloseWrite has been called
)

func (f *flags) has(flag uint32) bool { return f.bits.Load()&flag != 0 }
func (f *flags) set(flag uint32)      { f.bits.Or(flag) }
func (f *flags) clear(flag uint32)    { f.bits.And(^flag) }

// stream is the state of one direction.
type stream struct {
	// between is true while the parser is between two messages. Then Parser.Whole alone can read
	// the next one. It changes only with the lock held.
	between atomic.Bool
	passed  Passed
	parser  frame.Parser
	mu      sync.Mutex
}

// prepare prepares s for its opening.
func (s *session) prepare(o Opening, e upgrade.Extensions) {
	s.shard, s.recorded, s.start = o.Shard, o.Messages, clock.Now()
	s.messages = o.Messages || o.Kinds != nil
	s.closes = o.Closing
	s.verdict.peerLeft = o.PeerLeft
	s.inbound.parser = frame.New(s.conn.accepted, e.RSV)
	s.outbound.parser = frame.New(!s.conn.accepted, e.RSV)
	s.inspect(o, e)
}

func (s *session) stream(d count.Direction) *stream {
	if d == count.Receive {
		return &s.inbound
	}
	return &s.outbound
}

// stop ends the reading of frames.
func (s *session) stop() {
	s.inbound.stop()
	s.outbound.stop()
}

func (t *stream) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parser.Stop()
	t.update()
}

// update updates between. The caller holds the lock.
func (t *stream) update() {
	if between := t.parser.BetweenMessages(); between != t.between.Load() {
		t.between.Store(between)
	}
}

// single returns the payload size of b if b is one whole message. Otherwise it returns -1, and the
// frames of b must be read one by one.
func (t *stream) single(b []byte) int {
	if !t.between.Load() {
		return -1
	}
	if size := t.parser.Whole(b); size <= count.MaxSingle {
		return size
	}
	return -1
}

func opcodeOf(b []byte) frame.Opcode { return frame.Opcode(b[0] & 0x0f) }

// received records b, which came from the peer. messages is the number of messages that Passed.end
// must count.
func (s *session) received(b []byte) (messages uint64) {
	if size := s.inbound.single(b); size >= 0 {
		s.countSingle(count.Receive, s.shard.Singles(count.Receive, opcodeOf(b)), size, b)
		s.inbound.passed.at(clock.Coarse())
		return 1
	}
	if len(b) == 0 {
		return 0
	}
	s.inbound.mu.Lock()
	defer s.inbound.mu.Unlock()
	s.readInbound(b)
	return 0
}

// readInbound reads the frames of b. The caller holds the lock.
func (s *session) readInbound(b []byte) {
	s.countBytes(count.Receive, len(b))
	for len(b) > 0 {
		f, n, ok, err := s.inbound.parser.Next(b)
		if !ok {
			s.protocolError(err)
			break
		}
		b = b[n:]
		s.receivedFrame(&f)
	}
	s.inbound.passed.at(clock.Coarse())
	s.inbound.update()
}

func (s *session) receivedFrame(f *frame.Frame) {
	s.countFrame(count.Receive, eventOf(f, 0))
	if f.Opcode >= frame.Close {
		s.controls.Add(1)
	}
	switch f.Opcode {
	case frame.Pong:
		s.ponged(f)
	case frame.Close:
		s.closeFrame(f, Peer)
	}
	s.inbound.passed.at(clock.Coarse()) // this includes a close frame, but comes after the events before it
}

// write is Write. If a frame of the tap is due, and a frame of p ends within p, as in the traffic
// of a proxy, it writes p in two parts.
func (s *session) write(p []byte) (int, error) {
	if s.writing.Load().Has(count.FlagWanted) {
		if end := s.firstFrameEnd(p); end > 0 && end < len(p) {
			n, err := s.writeOnce(p[:end])
			if err != nil || n != end {
				return n, err
			}
			n, err = s.writeOnce(p[end:])
			return end + n, err
		}
	}
	return s.writeOnce(p)
}

// writeOnce writes p with one Write of the transport.
func (s *session) writeOnce(p []byte) (n int, err error) {
	begun := clock.Now()
	word := s.writing.Begin(begun)
	defer s.endWrite(begun) // the transport may panic
	if word.Has(count.FlagHeld) {
		if n, err, done := s.waitForSpeaker(p); done {
			return n, err
		}
	}
	size := s.outbound.single(p)
	if size < 0 {
		return s.writeFrames(p, begun)
	}
	singles := s.shard.Singles(count.Transmit, opcodeOf(p))
	n, err = s.timedWrite(p, begun, singles)
	s.wroteSingle(singles, size, p, n, err)
	return n, err
}

// endWrite ends a Write that writing counts.
func (s *session) endWrite(begun clock.Instant) {
	if left := s.writing.End(begun); left.Has(count.FlagWanted) && left.Number() == 0 {
		s.speak(true)
	}
}

func (s *session) wroteSingle(singles *count.Singles, size int, p []byte, n int, err error) {
	defer s.conn.contain()
	if n == len(p) {
		s.countSingle(count.Transmit, singles, size, p)
		s.outbound.passed.message()
	} else {
		s.brokeOff(p, n)
	}
	if err != nil {
		s.writeFailed(err)
	}
}

// writeFrames is write for everything that is not a single message.
func (s *session) writeFrames(p []byte, begun clock.Instant) (int, error) {
	var ahead events
	s.readAheadLocked(p, begun, &ahead)
	n, err := s.timedWrite(p, begun, s.shard.Singles(count.Transmit, frame.Text))
	s.wroteFrames(p, n, err, &ahead)
	return n, err
}

func (s *session) wroteFrames(p []byte, n int, err error, ahead *events) {
	defer s.conn.contain()
	if n == len(p) {
		s.wrote(p, n, ahead)
	} else {
		s.outbound.mu.Lock()
		defer s.outbound.mu.Unlock()
		s.wrote(p, n, ahead)
		s.outbound.update()
	}
	if err != nil {
		s.writeFailed(err)
	}
}

// timedWrite writes p to the transport, and records the time.
func (s *session) timedWrite(p []byte, begun clock.Instant, singles *count.Singles) (n int, err error) {
	s.shard.BeginWrite(singles, begun)
	defer func() {
		at := clock.Now()
		s.shard.EndWrite(singles, begun, at)
		if n > 0 {
			s.outbound.passed.at(at)
		}
	}()
	if s.flags.has(inParts) {
		return s.writeInParts(p)
	}
	return s.conn.transport.Write(p)
}

// partSize is the size of the parts of a large write, on a transport that does not tell how much of
// it the peer has accepted.
const partSize = 64 << 10

func (s *session) writeInParts(p []byte) (n int, err error) {
	for {
		part := p[n:min(len(p), n+partSize)]
		k, err := s.conn.transport.Write(part)
		n += k
		s.parts.Add(int64(max(k, 0)))
		if err != nil || k != len(part) || n == len(p) {
			return n, err
		}
	}
}

// event is a frame that ends at some index of a Write.
type event struct {
	message int64 // as in frame.Frame; the same holds for decoded and kind
	decoded int64
	end     int
	kind    int32
	opcode  frame.Opcode
	err     frame.Error // the error of the bytes after the previous frame
}

func eventOf(f *frame.Frame, end int) event {
	return event{message: f.Message, decoded: f.Decoded, kind: f.Kind, end: end, opcode: f.Opcode}
}

// events are the frames that were read ahead of one Write: usually a few, in a proxy many.
type events struct {
	n    int
	few  [8]event
	many *[512]event
}

var eventLists = sync.Pool{New: func() any { return new([512]event) }}

func (e *events) all() []event {
	if e.many != nil {
		return e.many[:e.n]
	}
	return e.few[:e.n]
}

// remember adds e to ahead. If ahead is full, its frames are counted before the Write has ended.
func (s *session) remember(ahead *events, e event) {
	switch {
	case ahead.many == nil && ahead.n == len(ahead.few):
		ahead.many = eventLists.Get().(*[512]event)
		copy(ahead.many[:], ahead.few[:])
	case ahead.many != nil && ahead.n == len(ahead.many):
		s.countEvents(ahead, e.end)
		ahead.n = 0
	}
	ahead.n++
	ahead.all()[ahead.n-1] = e
}

// readAheadLocked is like readAhead, for a Write that begins.
func (s *session) readAheadLocked(p []byte, begun clock.Instant, ahead *events) {
	defer s.conn.contain()
	s.outbound.mu.Lock()
	defer s.outbound.mu.Unlock()
	s.readAhead(p, begun, ahead)
	s.outbound.update()
}

// readAhead reads p, which will be written. It looks for pings and close frames, because the peer
// may answer them before the Write returns. ahead gets the frames that end in p.
func (s *session) readAhead(p []byte, begun clock.Instant, ahead *events) {
	for at := 0; at < len(p); {
		f, n, ok, err := s.outbound.parser.Next(p[at:])
		at += n
		if !ok {
			if err != frame.None {
				s.remember(ahead, event{end: len(p), err: err})
			}
			return
		}
		s.remember(ahead, eventOf(&f, at))
		switch f.Opcode {
		case frame.Ping:
			s.pinged(&f, begun)
		case frame.Close:
			s.closeFrame(&f, Local)
		}
	}
}

// wrote counts the first n bytes of p, in which the frames of ahead end. If a Write is short, its
// bytes are counted, and nothing more is read, because the rest may be written again or never. The
// caller then holds the lock.
func (s *session) wrote(p []byte, n int, ahead *events) {
	n = min(max(n, 0), len(p)) // a transport may violate the contract of io.Writer
	s.countBytes(count.Transmit, n)
	s.countEvents(ahead, n)
	if ahead.many != nil {
		eventLists.Put(ahead.many)
	}
	if n < len(p) {
		s.outbound.parser.Stop()
	}
}

// countEvents counts the events that end in the first n bytes.
func (s *session) countEvents(ahead *events, n int) {
	for _, e := range ahead.all() {
		if e.end > n {
			return
		}
		if e.err != frame.None {
			s.protocolError(e.err)
			return
		}
		s.countFrame(count.Transmit, e)
		if e.opcode == frame.Close {
			s.closeSent()
		}
	}
}

// brokeOff counts the first n bytes of p, which was one message.
func (s *session) brokeOff(p []byte, n int) {
	if n == 0 {
		return // the next Write begins at the same place
	}
	s.outbound.mu.Lock()
	defer s.outbound.mu.Unlock()
	s.wrote(p, n, new(events))
	s.outbound.update()
}

// The count functions count the bytes of one direction. The caller holds the lock of the direction,
// unless the connection is known to be between two messages.

// countSingle counts b, a single message with size bytes of payload, except in the number of
// messages in Passed.
func (s *session) countSingle(d count.Direction, singles *count.Singles, size int, b []byte) {
	s.progress()
	singles.Add(size)
	s.stream(d).passed.bytes.Add(int64(len(b)))
	if s.messages {
		kind := 0
		if s.kinds != nil {
			kind = s.kinds.of(d, b, size)
		}
		s.message(d, int64(size), kind)
	}
}

// message does everything for a message except counting it in the shard.
func (s *session) message(d count.Direction, size int64, kind int) {
	if s.kinds != nil {
		s.kinds.shard.Add(d, kind, size)
	}
	if s.recorded {
		s.conn.recorder.Message(d, size, kind)
	}
}

func (s *session) countBytes(d count.Direction, n int) {
	if n == 0 {
		return
	}
	s.progress()
	s.shard.AddBytes(d, n)
	s.stream(d).passed.bytes.Add(int64(n))
}

func (s *session) countFrame(d count.Direction, e event) {
	s.shard.AddFrame(d, e.opcode)
	if e.message < 0 {
		return
	}
	size := e.message
	if e.decoded >= 0 {
		size = e.decoded
		s.shard.AddCompressed(d, e.message, size)
	}
	s.shard.AddMessage(d, size)
	s.stream(d).passed.message()
	if s.messages {
		s.message(d, size, int(e.kind))
	}
}

func (s *session) protocolError(err frame.Error) {
	if err != frame.None {
		s.conn.recorder.ProtocolError(err)
	}
}

// progress records that bytes have passed.
func (s *session) progress() {
	if s.flags.has(timedOut) {
		s.flags.clear(timedOut)
	}
}
