package tap

import (
	"net"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/socket"
)

// Status is a snapshot of an open connection.
type Status struct {
	Opened         clock.Instant
	Age            time.Duration
	Idle           time.Duration // since the last bytes in either direction
	Received, Sent *Passed

	RoundTrip  time.Duration // of the last ping that was answered, or 0
	Unanswered time.Duration // since the oldest unanswered ping, or 0
	Writing    time.Duration // average time of the Writes in progress so far, or 0

	CloseSent, CloseReceived bool // close frames
}

// Status returns the status of a connection. ok is false before it has opened, and after it has
// ended.
func (c *Conn) Status() (st Status, ok bool) {
	defer c.contain()
	s := c.session.Load()
	if s == nil {
		return st, false
	}
	at := clock.Now()
	st.Opened, st.Age, st.Idle = s.start, at-s.start, s.silence(at)
	st.Received, st.Sent = &s.inbound.passed, &s.outbound.passed
	if w := s.writing.Load(); w.Number() > 0 {
		// At least one unit, to differ from none.
		st.Writing = max(w.Average(at), time.Millisecond)
	}
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	st.RoundTrip = v.roundTrip
	if v.pings != nil && len(v.pings.list) > 0 {
		st.Unanswered = max(at-v.pings.list[0].sent, 1)
	}
	st.CloseSent, st.CloseReceived = v.closeSent, v.closeReceived
	return st, !v.ended
}

// silence returns the time since the last byte in either direction, or since the connection opened.
func (s *session) silence(at clock.Instant) time.Duration {
	last := max(s.start, clock.Instant(s.inbound.passed.last.Load()), clock.Instant(s.outbound.passed.last.Load()))
	return max(at-last, 0)
}

// RemoteAddr returns the address of the peer, or nil if it is not known.
func (c *Conn) RemoteAddr() (addr net.Addr) {
	defer func() { _ = recover() }() // a transport that cannot tell
	if nc := c.socket(); nc != nil {
		return nc.RemoteAddr()
	}
	return nil
}

// TCP returns the kernel's state of the connection. ok is false if the kernel cannot be asked: the
// transport is not TCP, the system is not Linux, or the socket is closed.
func (c *Conn) TCP() (info socket.TCP, ok bool) {
	defer func() { _ = recover() }() // a transport that cannot tell
	return socket.TCPOf(c.kernel())
}
