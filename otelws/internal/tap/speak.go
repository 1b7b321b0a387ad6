package tap

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/socket"
)

// speaker is the additional state of a session that sends its own control frames. It sends them
// when a frame has ended and no Write is in progress. count.FlagWanted in the writing of the
// session requests that. count.FlagHeld holds Writes back in the meantime.
type speaker struct {
	mu   sync.Mutex // held while a frame of the tap is written
	rest *[]byte    // the unwritten rest of that frame; nil between frames

	wanted  atomic.Uint32 // wantPing, wantClose
	written atomic.Uint32 // pings
	goodbye atomic.Pointer[goodbye]
	swallower
}

const (
	wantPing = 1 << iota
	wantClose
)

// The time limits for writing the tap's own frame: alone, and after a Write of the library, which
// must not be delayed.
const (
	speakLimit  = 5 * time.Second
	behindLimit = 10 * time.Millisecond
)

// ask makes the session write a control frame as soon as possible.
func (s *session) ask(want uint32) {
	sp := s.speaking()
	sp.wanted.Or(want)
	s.writing.Set(count.FlagWanted)
	s.speak(false)
}

// speaking returns the speaker, and creates it if necessary.
func (s *session) speaking() *speaker {
	if sp := s.speaker.Load(); sp != nil {
		return sp
	}
	s.speaker.CompareAndSwap(nil, new(speaker))
	return s.speaker.Load()
}

// Ping writes a ping as soon as no frame is in progress. The pong that answers it does not reach
// the library. Ping returns when the ping has been written, or when a Write of the library will
// write it.
func (c *Conn) Ping() {
	defer c.contain()
	if s := c.session.Load(); s != nil {
		s.ask(wantPing)
	}
}

// speak writes the frames that are wanted. If a Write is in progress, its end calls speak with
// behind set. A frame is written only if there is room for it. A plain socket may also accept a
// part of it; then the rest is written before the next Write of the library. TLS would break by
// that.
func (s *session) speak(behind bool) {
	defer s.conn.contain()
	sp := s.speaker.Load()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	for {
		word := s.writing.Load()
		if !word.Has(count.FlagWanted) || word.Has(count.FlagHeld) && sp.rest == nil || word.Number() != 0 {
			return
		}
		if !s.writing.Swap(word, word|count.FlagHeld) {
			continue
		}
		more := s.say(sp, behind)
		if sp.rest == nil && !sp.said() {
			s.writing.Clear(count.FlagHeld) // a Write that came in the meantime waits for mu, and is first
		}
		if !more {
			return
		}
	}
}

// say writes one frame. It reports whether to continue.
func (s *session) say(sp *speaker, behind bool) (more bool) {
	out := &s.outbound
	out.mu.Lock()
	stopped, frames, messages := out.parser.Stopped(), out.parser.BetweenFrames(), out.parser.BetweenMessages()
	out.mu.Unlock()
	if s.deaf() { // the pong would reach the library
		sp.wanted.And(^uint32(wantPing))
	}
	wanted := sp.wanted.Load()
	bye := sp.goodbye.Load()
	switch {
	case s.isOver() || s.flags.has(halfClosed):
		wanted = 0
	case sp.rest != nil: // an earlier frame is in progress
		return s.sayRest(sp, behind)
	case stopped: // the tap no longer knows the ends of frames
		wanted = 0
	case !frames: // the end of a Write calls speak
		return false
	case !(behind && s.conn.isPlain()) && !socket.Writable(s.conn.kernel()):
		sp.wanted.And(^uint32(wantPing))
		return false
	case wanted&wantClose != 0 && (messages || bye.now.Load()):
		sp.wanted.And(^uint32(wantPing | wantClose))
		s.writing.Clear(count.FlagWanted)
		out.mu.Lock()
		bye.after = out.parser.Clone()
		out.mu.Unlock()
		bye.said.Store(true)
		s.sayFrame(sp, behind, frame.Close, bye.payload)
		return false
	case wanted&wantPing != 0:
		sp.wanted.And(^uint32(wantPing))
		if wanted&wantClose == 0 {
			s.writing.Clear(count.FlagWanted)
		}
		return s.sayFrame(sp, behind, frame.Ping, sp.nextPing())
	case wanted&wantClose != 0: // a message is in progress
		return false
	}
	if wanted == 0 {
		sp.wanted.Store(0)
		s.writing.Clear(count.FlagWanted)
	}
	return false
}

// sayFrame writes a control frame.
func (s *session) sayFrame(sp *speaker, behind bool, op frame.Opcode, payload []byte) (more bool) {
	b := s.controlFrame(op, payload)
	s.readAheadLocked(b, clock.Now(), new(events))
	sp.rest = &b
	return s.sayRest(sp, behind)
}

// sayRest continues with the frame in progress. It reports whether another frame may follow.
func (s *session) sayRest(sp *speaker, behind bool) (more bool) {
	limit := speakLimit
	if behind && s.conn.isPlain() {
		limit = behindLimit
	}
	err := s.deadline.during(s.conn, time.Now().Add(limit), func() error { return s.writeRest(sp) })
	return err == nil && sp.rest == nil && !sp.said()
}

// isPlain reports whether the transport is itself a socket. A Write that a deadline cuts short does
// not break a socket.
func (c *Conn) isPlain() bool {
	switch c.transport.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// writeRest writes the rest of the frame in progress, with one Write.
func (s *session) writeRest(sp *speaker) error {
	rest := *sp.rest
	n, err := s.conn.transport.Write(rest)
	n = min(max(n, 0), len(rest))
	s.countBytes(count.Transmit, n)
	if n > 0 {
		s.outbound.passed.at(clock.Now())
	}
	*sp.rest = rest[n:]
	if n == len(rest) || err != nil && !isTimeout(err) {
		sp.rest = nil
	}
	switch {
	case err != nil:
		s.writeFailed(err)
	case sp.rest != nil:
	case sp.said():
		s.countFrame(count.Transmit, event{opcode: frame.Close, message: -1})
		s.closeSent()
	default:
		s.countFrame(count.Transmit, event{opcode: frame.Ping, message: -1})
		sp.written.Add(1)
	}
	return err
}

// waitForSpeaker is called by a Write that found FlagHeld. It returns when the tap's frame has been
// written. If done is true, p must not be written.
func (s *session) waitForSpeaker(p []byte) (n int, err error, done bool) {
	sp := s.speaker.Load()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.rest != nil { // with the deadline of the application
		if err := s.writeRest(sp); err != nil || sp.rest != nil {
			return 0, err, true
		}
		if !sp.said() {
			s.writing.Clear(count.FlagHeld)
		}
	}
	if sp.said() {
		n, err = sp.goodbye.Load().swallow(p)
		return n, err, true
	}
	return 0, nil, false
}

// firstFrameEnd returns the index in p after the first frame, or 0 if no frame ends in p.
func (s *session) firstFrameEnd(p []byte) int {
	defer s.conn.contain()
	s.outbound.mu.Lock()
	parser := s.outbound.parser.Clone()
	s.outbound.mu.Unlock()
	if _, n, ok, _ := parser.Next(p); ok {
		return n
	}
	return 0
}

// controlFrame returns a control frame. It is masked if this side is the client (RFC 6455 section
// 5.3).
func (s *session) controlFrame(op frame.Opcode, payload []byte) []byte {
	b := make([]byte, 2, 2+4+len(payload))
	b[0], b[1] = 0x80|byte(op), byte(len(payload))
	if s.conn.accepted {
		return append(b, payload...)
	}
	b[1] |= 0x80
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i&3])
	}
	return b
}

// goodbye is a close frame of the tap, and the state after it.
type goodbye struct {
	payload []byte
	now     atomic.Bool // even in the middle of a message
	said    atomic.Bool // no frame may follow
	linger  atomic.Bool // the library has closed, and the tap waits for the peer's answer

	after frame.Parser // parses the library's writes after it; guarded by speaker.mu
}

// Goodbye writes a close frame with code and reason, as soon as no message is in progress. If now
// is set, it waits only for the end of a frame. Nothing follows the close frame: data that the
// library writes fails with [net.ErrClosed], and its control frames are dropped. Close then waits
// for the peer's close frame. If a transport is closed with unread bytes, it sends a reset, which
// would overtake the close frame.
func (c *Conn) Goodbye(code websocket.StatusCode, reason string, now bool) {
	defer c.contain()
	s := c.session.Load()
	if s == nil || s.spoken() {
		return
	}
	sp := s.speaking()
	payload := append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
	sp.goodbye.CompareAndSwap(nil, &goodbye{payload: payload})
	bye := sp.goodbye.Load()
	if now {
		bye.now.Store(true)
	}
	if !bye.said.Load() {
		s.ask(wantClose)
	}
}

// said reports whether the close frame has been written, or is being written.
func (sp *speaker) said() bool {
	bye := sp.goodbye.Load()
	return bye != nil && bye.said.Load()
}

var errGoingAway = fmt.Errorf("otelws: this side has said goodbye: %w", net.ErrClosed)

// swallow is a Write after the close frame. It drops control frames.
func (g *goodbye) swallow(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		data := g.after.BetweenFrames() && rest[0]&0x08 == 0 || g.after.InData()
		if data || g.after.Stopped() {
			return 0, errGoingAway
		}
		_, n, _, _ := g.after.Next(rest)
		rest = rest[n:]
	}
	return len(p), nil
}
