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

// speaker is what a session has more that writes control frames of its own. They
// go where a frame has ended and no Write is in progress: count.FlagWanted in the
// session's writing asks for that, and count.FlagHeld keeps Writes off meanwhile.
type speaker struct {
	mu   sync.Mutex // held while a frame of the tap's is written
	rest *[]byte    // what is left to write of that frame, nil between frames

	wanted  atomic.Uint32 // wantPing, wantClose
	written atomic.Uint32 // pings
	goodbye atomic.Pointer[goodbye]
	swallower
}

const (
	wantPing = 1 << iota
	wantClose
)

// The limits on how long a frame of the tap's own may take to be written: by itself,
// and behind a Write of the library's, which must not be held up.
const (
	speakLimit  = 5 * time.Second
	behindLimit = 10 * time.Millisecond
)

// ask has the session write a control frame as soon as it may.
func (s *session) ask(want uint32) {
	sp := s.speaking()
	sp.wanted.Or(want)
	s.writing.Set(count.FlagWanted)
	s.speak(false)
}

// speaking returns the speaker, which it makes at first use.
func (s *session) speaking() *speaker {
	if sp := s.speaker.Load(); sp != nil {
		return sp
	}
	s.speaker.CompareAndSwap(nil, new(speaker))
	return s.speaker.Load()
}

// Ping writes a ping of the tap's own, as soon as no frame is under way. The pong
// that answers it is not passed on. Ping returns when the ping is written, or
// when that is left to a Write of the library's.
func (c *Conn) Ping() {
	defer c.contain()
	if s := c.session.Load(); s != nil {
		s.ask(wantPing)
	}
}

// speak writes what is wanted. Where a Write is in progress, its end does that,
// with behind set. A frame is written where there is room for it. A plain socket may
// also take a part of it, whose rest goes before the library's next Write; TLS would
// break.
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
			s.writing.Clear(count.FlagHeld) // a Write that came meanwhile waits for mu, and goes first
		}
		if !more {
			return
		}
	}
}

// say writes one frame. It says whether to go on.
func (s *session) say(sp *speaker, behind bool) (more bool) {
	out := &s.outbound
	out.mu.Lock()
	stopped, frames, messages := out.parser.Stopped(), out.parser.BetweenFrames(), out.parser.BetweenMessages()
	out.mu.Unlock()
	wanted := sp.wanted.Load()
	bye := sp.goodbye.Load()
	switch {
	case s.isOver() || s.flags.has(halfClosed):
		wanted = 0
	case sp.rest != nil: // an earlier one goes on
		return s.sayRest(sp, behind)
	case stopped: // nobody knows where a frame ends
		wanted = 0
	case !frames: // the end of a Write tells
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
	case wanted&wantClose != 0: // a message is under way
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

// sayRest goes on with the frame that is under way. It says whether another may
// follow.
func (s *session) sayRest(sp *speaker, behind bool) (more bool) {
	limit := speakLimit
	if behind && s.conn.isPlain() {
		limit = behindLimit
	}
	err := s.deadline.during(s.conn, time.Now().Add(limit), func() error { return s.writeRest(sp) })
	return err == nil && sp.rest == nil && !sp.said()
}

// isPlain says whether the transport is a socket itself, which a Write that is cut
// short by a deadline does not break.
func (c *Conn) isPlain() bool {
	switch c.transport.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// writeRest writes the rest of the frame that is under way, by one Write.
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

// waitForSpeaker is called by a Write that found FlagHeld. It returns when the
// frame of the tap's is written. done says that p is not to be written.
func (s *session) waitForSpeaker(p []byte) (n int, err error, done bool) {
	sp := s.speaker.Load()
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.rest != nil { // under the application's own deadline
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

// firstFrameEnd returns the place in p where the first frame ends, 0 where none
// does.
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

// controlFrame returns a control frame, masked where this side is the client (RFC
// 6455 section 5.3).
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

// goodbye is a close frame of the tap's own, and what follows it.
type goodbye struct {
	payload []byte
	now     atomic.Bool // in the middle of a message too
	said    atomic.Bool // no frame may follow
	linger  atomic.Bool // the library has closed, and the peer's answer is awaited

	after frame.Parser // of what the library writes after it, under speaker.mu
}

// Goodbye writes a close frame with code and reason, as soon as no message is
// under way, or where now is set, no frame. After it nothing follows: data that
// the library writes fails with [net.ErrClosed], and its control frames are
// dropped. Close then waits for the peer's close frame, since a transport that is
// closed with bytes unread sends a reset, which would overtake this one.
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

// said says whether the close frame is out, or being written.
func (sp *speaker) said() bool {
	bye := sp.goodbye.Load()
	return bye != nil && bye.said.Load()
}

var errGoingAway = fmt.Errorf("otelws: this side has said goodbye: %w", net.ErrClosed)

// swallow is a Write after the close frame: control frames are dropped.
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
