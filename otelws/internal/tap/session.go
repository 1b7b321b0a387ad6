package tap

import (
	"sync"
	"sync/atomic"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/inspect"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// session is the state of a Conn that is, or was, a WebSocket.
//
// Most messages are one frame, and one Read or Write. These are counted without a lock. For
// everything else there are locks. They are held only while headers are read, never during I/O. The
// order of locking is inbound, outbound, verdict.
type session struct {
	// The fields that each Read and Write needs come first. In this order they take the fewest
	// cache lines in a server with many connections.
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

// kinds is the state of a session for the kinds of its messages.
type kinds struct {
	shard      *count.KindShard
	inspectors *[count.Directions]inspect.Inspector
}

// flags are properties of a session that change rarely.
type flags struct{ bits atomic.Uint32 }

const (
	timedOut   = 1 << iota // a deadline has passed, and no byte since
	stopped                // Reads were interrupted by a deadline
	inParts                // large Writes are cut into parts
	halfClosed             // CloseWrite has been called
	writeBroke             // a Write has returned an error
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
	s.shard, s.recorded, s.start = o.Shard, o.Messages, clock.Begin()
	s.messages = o.Messages || o.Kinds != nil
	s.closes = o.Closing
	s.verdict.peerLeft = o.PeerLeft
	s.inbound.parser = frame.New(s.conn.accepted, e.RSV)
	s.outbound.parser = frame.New(!s.conn.accepted, e.RSV)
	s.inspect(o, e)
}

// inspect makes the parsers look into messages, if the Opening asks for that.
func (s *session) inspect(o Opening, e upgrade.Extensions) {
	if !o.Decode && o.Kinds == nil {
		return
	}
	inspectors := new([count.Directions]inspect.Inspector)
	for d := range inspectors {
		inspectors[d] = inspect.New(inspect.Options{
			Decode: o.Decode, Kinds: o.Kinds, Payload: o.Payload, Extensions: e,
			FromClient: s.conn.accepted == (count.Direction(d) == count.Receive),
		})
		inspectors[d].Attach(&s.stream(count.Direction(d)).parser)
	}
	if o.Kinds != nil {
		s.kinds = &kinds{shard: o.KindShard, inspectors: inspectors}
	}
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
			kind = s.kinds.inspectors[d].Kind(b, size)
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
