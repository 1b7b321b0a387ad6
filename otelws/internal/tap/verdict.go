package tap

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/socket"
)

// Initiator says who ended a connection.
type Initiator uint8

// The initiators.
const (
	Peer Initiator = iota
	Local
	Timeout
)

// End is what there is to tell of a connection that has ended.
type End struct {
	// Code is that of the first close frame in either direction, 1005 where it held
	// none, InvalidCode where it must not be sent, and 1006 where there was no close
	// frame (RFC 6455 section 7.1.5).
	Code      websocket.StatusCode
	Reason    string
	Initiator Initiator
	Cause     error // of the transport, nil where this side closed it
	Duration  time.Duration
	// Silence is how long no bytes had passed in either direction before the end, or
	// before the close frame that made it.
	Silence time.Duration

	Received, Sent *Passed
}

// InvalidCode stands for whatever a close frame carried that is no code which may
// be sent.
const InvalidCode websocket.StatusCode = -1

// verdict is what is known of how a connection ends.
//
// It ends when both directions have spoken: by EOF or an error of a Read, which
// has read all that the peer sent, by Close, or when the garbage collector finds
// it. An error of a Write alone ends nothing: what the peer sent before it was
// gone, a close frame among it, may still be read.
type verdict struct {
	mu            sync.Mutex
	close         *closeFrame // the first one in either direction
	closeSent     bool        // a close frame has been written whole
	closeReceived bool
	peerLeft      bool  // before the response went out
	gaveUp        bool  // the peer does not answer
	writeErr      error // the first that ends a transport
	closing       bool  // Close has been called
	closer        Initiator
	ended         bool
	later         *time.Timer // ends the connection, where a Read does not

	peeked   *closeFrame // that the kernel holds, unread
	peekedAt int64       // bytes received at that time

	roundTrip time.Duration // of the last ping that was answered
	pings     *pings        // nil without one in flight
	answers   uint32        // pongs that answered a ping
}

// closeFrame is a close frame that has passed, or is about to.
type closeFrame struct {
	code      websocket.StatusCode
	reason    string
	initiator Initiator
	silence   time.Duration // before it
}

// closeFrame takes note of a close frame.
func (s *session) closeFrame(f *frame.Frame, by Initiator) {
	c, err := s.readCloseFrame(f, by)
	s.protocolError(err)
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	v.took(c)
}

func (s *session) readCloseFrame(f *frame.Frame, by Initiator) (*closeFrame, frame.Error) {
	var buf [frame.MaxControlPayload]byte
	code, reason, err := parseClose(f.AppendPayload(buf[:0]))
	return &closeFrame{code, reason, by, s.silence(clock.Now())}, err
}

// took takes note of a close frame. It is called with the lock held.
func (v *verdict) took(c *closeFrame) {
	if c.initiator == Peer {
		v.closeReceived = true
	}
	// A close frame of the peer's own says more than one that is stuck here.
	stuck := v.close != nil && c.initiator == Peer && v.close.initiator == Local && !v.closeSent && c.code != v.close.code
	if v.close == nil || stuck {
		v.close = c
	}
}

func (s *session) closeSent() {
	s.verdict.mu.Lock()
	s.verdict.closeSent = true
	s.verdict.mu.Unlock()
}

// readFailed takes note of an error of a Read.
func (s *session) readFailed(err error) {
	if isTimeout(err) {
		if !s.flags.has(stopped) {
			s.flags.set(timedOut)
		}
		return
	}
	s.end(err)
}

// writeFailed takes note of an error of a Write. It ends nothing.
func (s *session) writeFailed(err error) {
	if isTimeout(err) {
		s.flags.set(timedOut)
		return
	}
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.writeErr == nil && !errors.Is(err, net.ErrClosed) {
		v.writeErr = err
	}
}

// closing takes note that this side is about to close the transport. A close
// frame that the kernel still holds for a Read that never came is read from
// there.
func (s *session) closing() {
	if s.closes != nil {
		s.closes()
	}
	if s.mayBeHeld() {
		s.peek()
	}
	by, stuck := Local, s.writeStuck()
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closing:
		return
	case v.gaveUp || stuck || s.flags.has(timedOut):
		by = Timeout
	case v.peerLeft:
		by = Peer
	}
	v.closing, v.closer = true, by
}

// mayBeHeld says whether the kernel may hold the close frame that the verdict waits
// for.
func (s *session) mayBeHeld() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.ended && !v.closeReceived && !v.closeSent
}

// peek looks for a close frame in what the kernel holds for the application.
// Beneath TLS that is ciphertext, and nothing is looked at.
func (s *session) peek() {
	v := &s.verdict
	in := &s.inbound
	in.mu.Lock()
	defer in.mu.Unlock()
	passed, parser := in.passed.Bytes(), in.parser.Clone()
	socket.Peek(s.conn.transport, func(b []byte) {
		for len(b) > 0 {
			f, n, ok, _ := parser.Next(b)
			if !ok {
				return
			}
			b = b[n:]
			if f.Opcode == frame.Close {
				v.mu.Lock()
				defer v.mu.Unlock()
				v.peeked, _ = s.readCloseFrame(&f, Peer)
				v.peekedAt = passed
				return
			}
		}
	})
}

// takePeeked takes note of the close frame that the kernel holds, if nothing has
// been read since: a Read that was in progress may have taken what was peeked at. It
// is called with the lock of the verdict held.
func (s *session) takePeeked() {
	v := &s.verdict
	if v.peeked != nil && !v.closeReceived && v.peekedAt == s.inbound.passed.Bytes() {
		v.took(v.peeked)
	}
}

// writeStuck says whether a Write has gone on for so long that it must be the
// reason to close the transport: the deadline of its context has passed, which
// coder/websocket answers by that.
func (s *session) writeStuck() bool {
	const long = time.Second
	// On average, since the longest of them has taken no less.
	w := s.writing.Load()
	n := w.Number()
	return n > 0 && w.Elapsed(clock.Now()) >= long*time.Duration(n)
}

// endLater ends the connection after d, unless a Read does before.
func (s *session) endLater(d time.Duration) {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.ended && v.later == nil {
		v.later = time.AfterFunc(d, func() {
			defer s.conn.contain()
			s.end(nil)
		})
	}
	// It may have been the last one meanwhile.
}

// end ends the connection, once. cause is the error of a Read that ended it, nil
// where this side closed the transport or let go of it.
func (s *session) end(cause error) {
	if e, first := s.decide(cause); first {
		s.conn.recorder.Ended(e)
	}
}

func (s *session) decide(cause error) (e End, first bool) {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return e, false
	}
	v.ended = true
	s.takePeeked()
	if v.later != nil {
		v.later.Stop()
		v.later = nil
	}

	by := Local
	switch {
	case v.closing: // its Read fails for that
		by, cause = v.closer, nil
	case cause != nil:
		by = initiatorOf(cause)
	}
	if v.writeErr != nil && !v.gaveUp {
		by, cause = initiatorOf(v.writeErr), v.writeErr
	}
	at := clock.Now()
	e = End{
		Code: websocket.StatusAbnormalClosure, Initiator: by, Cause: cause,
		Duration: at - s.start, Silence: s.silence(at),
		Received: &s.inbound.passed, Sent: &s.outbound.passed,
	}
	if v.close != nil && v.closeStands(cause) {
		e.Code, e.Reason, e.Initiator = v.close.code, v.close.reason, v.close.initiator
		e.Silence = v.close.silence
	}
	return e, true
}

// closeStands says whether the first close frame was one. It was not where this
// side wrote it and it never left: the transport failed or was closed under the
// Write. On EOF it may have left while Write has not returned.
func (v *verdict) closeStands(cause error) bool {
	return v.close.initiator == Peer || v.closeSent || v.closeReceived || errors.Is(cause, io.EOF)
}

// isTimeout says whether err is a deadline that has passed: it ends nothing.
func isTimeout(err error) bool {
	if errors.Is(err, syscall.ETIMEDOUT) { // its Timeout is true, and it is final
		return false
	}
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// isFinal says whether err ends a transport, whatever transport it is.
func isFinal(err error) bool {
	for _, final := range []error{io.EOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// initiatorOf says who ended a transport that gave err.
func initiatorOf(err error) Initiator {
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return Timeout
	case errors.Is(err, net.ErrClosed):
		return Local
	}
	return Peer
}

// parseClose reads the payload of a close frame (RFC 6455 section 5.5.1). 1005
// and 1006 are never read from a frame: they stand for its absence.
func parseClose(payload []byte) (code websocket.StatusCode, reason string, err frame.Error) {
	switch len(payload) {
	case 0:
		return websocket.StatusNoStatusRcvd, "", frame.None
	case 1:
		return InvalidCode, "", frame.ClosePayload
	}
	code = websocket.StatusCode(binary.BigEndian.Uint16(payload))
	reason = string(payload[2:])
	if !Sendable(code) {
		return InvalidCode, reason, frame.CloseCode
	}
	return code, reason, frame.None
}

// Sendable says whether a close frame may carry code (RFC 6455 section 7.4).
func Sendable(code websocket.StatusCode) bool {
	switch code {
	case 1004, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure, websocket.StatusTLSHandshake:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}
