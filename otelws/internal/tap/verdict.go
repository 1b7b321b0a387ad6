package tap

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// verdict is the knowledge about the end of a connection.
//
// A connection ends by EOF or an error of a Read, which has read everything that the peer sent; by
// Close; or when the garbage collector finds it. An error of a Write alone does not end it, because
// data of the peer, such as a close frame, may still be unread.
type verdict struct {
	mu            sync.Mutex
	close         *closeFrame // the first one in either direction
	closeSent     bool        // a close frame has been written completely
	closeReceived bool
	peerLeft      bool  // before the response was written
	gaveUp        bool  // the peer does not answer
	writeErr      error // the first error that ends a transport
	closing       bool  // Close has been called
	closer        Initiator
	closedAt      clock.Instant // when the transport was closed; 0 before
	ended         bool
	later         *time.Timer // ends the connection, unless a Read does

	peeked *peeked // nil if the kernel had none

	roundTrip time.Duration // of the last ping that was answered
	pings     *pings        // nil if none is unanswered
	answers   uint32        // pongs that answered a ping
}

// closeFrame is a close frame that has passed, or is about to.
type closeFrame struct {
	code      websocket.StatusCode
	reason    string
	initiator Initiator
	at        clock.Instant // when it was read, or when its Write began
	silence   time.Duration // before it
}

// closeFrame records a close frame.
func (s *session) closeFrame(f *frame.Frame, by Initiator) {
	c, err := s.readCloseFrame(f, by)
	s.protocolError(err)
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	s.took(c)
}

func (s *session) readCloseFrame(f *frame.Frame, by Initiator) (closeFrame, frame.Error) {
	var buf [frame.MaxControlPayload]byte
	code, reason, err := parseClose(f.AppendPayload(buf[:0]))
	at := clock.Now()
	return closeFrame{code, reason, by, at, s.silence(at)}, err
}

// took records a close frame. The caller holds the lock of the verdict.
func (s *session) took(c closeFrame) {
	v := &s.verdict
	if c.initiator == Peer {
		v.closeReceived = true
	}
	// A close frame from the peer says more than this side's frame that is stuck here.
	stuck := c.initiator == Peer && s.closeStuck(c.at) && c.code != v.close.code
	if v.close == nil || stuck {
		v.close = new(c)
	}
}

// stuckAfter is the time after which a Write that has not returned has probably sent nothing.
const stuckAfter = time.Second

// closeStuck reports whether this side's close frame has probably not left. That its Write has not
// returned is not enough: the peer's answer can arrive before. The caller holds the lock of the
// verdict.
func (s *session) closeStuck(at clock.Instant) bool {
	v := &s.verdict
	return v.close != nil && v.close.initiator == Local && !v.closeSent &&
		(s.flags.has(writeBroke) || at-v.close.at >= stuckAfter)
}

func (s *session) closeSent() {
	s.verdict.mu.Lock()
	s.verdict.closeSent = true
	s.verdict.mu.Unlock()
}

// readFailed records an error of a Read.
func (s *session) readFailed(err error) {
	if isTimeout(err) {
		if !s.flags.has(stopped) {
			s.flags.set(timedOut)
		}
		return
	}
	s.end(err)
}

// writeFailed records an error of a Write. It does not end the connection.
func (s *session) writeFailed(err error) {
	s.flags.set(writeBroke)
	if isTimeout(err) {
		s.flags.set(timedOut)
		return
	}
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.writeErr == nil && !is(err, net.ErrClosed) {
		v.writeErr = err
	}
}

// closing records that this side is about to close the transport. If the kernel still holds a close
// frame that nobody has read, closing reads it there.
func (s *session) closing() {
	if s.closes != nil {
		s.closes()
	}
	if s.mayBeUnread() {
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

// writeStuck reports whether a Write has taken so long that it must be the reason for closing the
// transport: the deadline of its context has passed. coder/websocket then closes the transport.
func (s *session) writeStuck() bool {
	// This is the average. The longest Write has taken at least as long.
	return s.writing.Load().Average(clock.Now()) >= stuckAfter
}

// closeLimit is how long a reader may continue after Close before the connection ends without it. A
// Read of most transports returns at once.
const closeLimit = time.Second

// closed ends the connection, whose transport has been closed, unless a Read may still return a close
// frame.
func (s *session) closed() {
	s.verdict.setClosed(clock.Now())
	if s.conn.Reading() || s.mayReadOn() {
		s.endLater(closeLimit)
	} else {
		s.end(nil)
	}
}

func (v *verdict) setClosed(at clock.Instant) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closedAt == 0 {
		v.closedAt = at
	}
}

// mayReadOn reports whether a reader may still get a close frame after Close. A TLS connection returns
// what it has decrypted even then.
func (s *session) mayReadOn() bool {
	if _, ok := s.conn.transport.(tlsConn); !ok || s.inbound.passed.Bytes() == 0 || s.failed.Load() > 0 {
		return false
	}
	return s.mayBeUnread()
}

// endLater ends the connection after d, unless a Read ends it before.
func (s *session) endLater(d time.Duration) {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended || v.later != nil { // the Read may have returned in the meantime
		return
	}
	v.later = time.AfterFunc(d, func() {
		defer s.conn.contain()
		s.end(nil)
	})
}

// end ends the connection, once. cause is the error of the Read that ended it. It is nil if this
// side closed the transport or lost it.
func (s *session) end(cause error) {
	s.takePeeked()
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
	v.ended, v.peeked = true, nil
	if v.later != nil {
		v.later.Stop()
		v.later = nil
	}

	by := Local
	switch {
	case v.closing: // its Read fails because of that
		by, cause = v.closer, nil
	case cause != nil:
		by = initiatorOf(cause)
	}
	if v.writeErr != nil && !v.gaveUp {
		by, cause = initiatorOf(v.writeErr), v.writeErr
	}
	at := clock.Now()
	if v.closedAt != 0 {
		at = v.closedAt
	}
	e = End{
		Code: websocket.StatusAbnormalClosure, Initiator: by, Cause: cause,
		Duration: at - s.start, Silence: s.silence(at),
		Received: &s.inbound.passed, Sent: &s.outbound.passed,
	}
	if v.close != nil && s.closeStands(cause, at) {
		e.Code, e.Reason, e.Initiator = v.close.code, v.close.reason, v.close.initiator
		e.Silence = v.close.silence
	}
	return e, true
}

// closeStands reports whether the first close frame was really sent. A close frame of this side was
// not if a Write failed, or if this side closed the transport during the Write. If the peer ended the
// transport, the frame may have been sent even if Write has not returned. The caller holds the lock of
// the verdict.
func (s *session) closeStands(cause error, at clock.Instant) bool {
	v := &s.verdict
	return v.close.initiator == Peer || v.closeSent || v.closeReceived || is(cause, io.EOF) ||
		cause != nil && !s.closeStuck(at)
}

// parseClose reads the payload of a close frame (RFC 6455 section 5.5.1). It never returns 1005 or
// 1006 as the code of a frame, because these mean that there is no code or no frame.
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

// Sendable reports whether a close frame may have this code (RFC 6455 section 7.4).
func Sendable(code websocket.StatusCode) bool {
	switch code {
	case 1004, websocket.StatusNoStatusRcvd, websocket.StatusAbnormalClosure, websocket.StatusTLSHandshake:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}
