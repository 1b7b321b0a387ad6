package tap

import (
	"net"
	"time"
)

// lingerLimit is how long a closed connection stays open for the peer to answer the
// close frame of the tap's. A drain cuts it at its own deadline.
const lingerLimit = 10 * time.Second

// lingers says whether the library has closed a connection that is still open.
func (sp *speaker) lingers() bool {
	bye := sp.goodbye.Load()
	return bye != nil && bye.linger.Load()
}

func (c *Conn) lingers() bool {
	s := c.session.Load()
	if s == nil {
		return false
	}
	sp := s.speaker.Load()
	return sp != nil && sp.lingers()
}

// errorOf returns what the library is told of an error of its Read: one that
// linger has interrupted was closed.
func (c *Conn) errorOf(err error) error {
	if err != nil && c.lingers() && isTimeout(err) {
		return errGoingAway
	}
	return err
}

// linger says whether a connection that the library closes stays open: the tap has
// said goodbye, and the peer has not answered. A goodbye that is due is said first:
// the other side of a proxy may have been told before.
func (c *Conn) linger() bool {
	defer c.contain()
	s := c.session.Load()
	if s == nil {
		return false
	}
	if code, reason, ok := c.recorder.Leaving(); ok {
		c.Goodbye(code, reason, true)
	}
	sp := s.speaker.Load()
	nc := c.socket()
	if nc == nil || sp == nil || !sp.said() || s.answered() {
		return false
	}
	if !sp.goodbye.Load().linger.Swap(true) {
		go s.awaitAnswer(nc)
	}
	return true
}

// awaitAnswer reads on until the peer has answered the close frame, and closes the
// transport.
func (s *session) awaitAnswer(nc net.Conn) {
	c := s.conn
	defer c.CutOff()
	defer c.contain()
	_ = nc.SetReadDeadline(time.Unix(1, 0)) // ends the library's Read
	for end := time.Now().Add(closeLimit); c.reading(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return
		}
	}
	_ = nc.SetReadDeadline(time.Now().Add(lingerLimit))
	b := make([]byte, 4<<10)
	for !s.answered() {
		c.readBegins()
		n, err := c.transport.Read(b)
		if !isCount(n, b) {
			_ = c.readBroken(err)
			return
		}
		c.readDone(c.note(s, b[:n]), err)
		if err != nil {
			return
		}
	}
}

// Answered says whether the tap has said goodbye and the peer has answered. Where
// nobody reads, it looks for the answer in the kernel.
func (c *Conn) Answered() bool {
	defer c.contain()
	s := c.session.Load()
	if s == nil {
		return false
	}
	if sp := s.speaker.Load(); sp == nil || !sp.said() {
		return false
	}
	if !s.answered() && !c.reading() {
		s.peek()
		s.verdict.mu.Lock()
		defer s.verdict.mu.Unlock()
		s.takePeeked()
		return s.verdict.closeReceived
	}
	return s.answered()
}

// answered says whether nothing more is to be expected of the peer: it has sent a
// close frame, or the connection has ended or is given up.
func (s *session) answered() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closeReceived || v.ended || v.gaveUp
}

// isOver says whether the connection has ended.
func (s *session) isOver() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ended
}

// spoken says whether this side has said how the connection ends.
func (s *session) spoken() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ended || v.closeSent
}
