package tap

import (
	"net"
	"time"
)

// lingerLimit is how long a closed connection waits for the peer to answer the tap's close frame. A
// drain cuts it at its own deadline.
const lingerLimit = 10 * time.Second

// lingers reports whether the library has closed a connection that is still open.
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

// errorOf returns the error that the library gets for an error of its Read. A Read that linger
// interrupted gets errGoingAway, because the library closed its connection.
func (c *Conn) errorOf(err error) error {
	if err != nil && c.lingers() && isTimeout(err) {
		return errGoingAway
	}
	return err
}

// linger reports whether a connection stays open after the library closed it. It does if the tap
// has sent a close frame that the peer has not answered. If a close frame is due, linger sends it
// first, because the other side of a proxy may already have got one.
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

// awaitAnswer reads until the peer has answered the close frame, and then closes the transport.
func (s *session) awaitAnswer(nc net.Conn) {
	c := s.conn
	defer c.CutOff()
	defer c.contain()
	_ = nc.SetReadDeadline(time.Unix(1, 0)) // ends the library's Read
	for end := time.Now().Add(closeLimit); c.Reading(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return
		}
	}
	_ = nc.SetReadDeadline(time.Now().Add(lingerLimit))
	defer time.AfterFunc(lingerLimit+closeLimit, c.CutOff).Stop() // some transports ignore deadlines
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

// Answered reports whether the tap has sent a close frame and the peer has answered. If nobody
// reads, it looks for the answer in the kernel; unread means that it is still there.
func (c *Conn) Answered() (answered, unread bool) {
	defer c.contain()
	s := c.session.Load()
	if s == nil {
		return false, false
	}
	if sp := s.speaker.Load(); sp == nil || !sp.said() {
		return false, false
	}
	if !s.answered() && !c.Reading() {
		s.peek()
		s.takePeeked()
	}
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hasAnswered(), v.peeked != nil && v.peeked.at == s.inbound.passed.Bytes()
}

// answered reports whether nothing more can be expected from the peer: it has sent a close frame,
// or the connection has ended or was given up.
func (s *session) answered() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hasAnswered()
}

func (v *verdict) hasAnswered() bool { return v.closeReceived || v.ended || v.gaveUp }

// isOver reports whether the connection has ended.
func (s *session) isOver() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ended
}

// spoken reports whether the connection has ended, or this side has sent its close frame.
func (s *session) spoken() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ended || v.closeSent
}
