package tap

import (
	"net"
	"sync"
	"time"
)

// deadline separates the write deadline of the application from the deadline of the tap's own
// frames.
type deadline struct {
	mu   sync.Mutex
	own  bool
	last time.Time // as the application set it
}

// set records t, and sets it with apply, or with other if the tap's own write deadline is active.
// It returns the error of the transport.
func (d *deadline) set(t time.Time, apply func(time.Time) error, other func(time.Time) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = t
	if d.own {
		return other(t)
	}
	return apply(t)
}

// begun is a time shortly after this process began.
var begun = time.Now()

// interrupted records t, a read deadline. A deadline long in the past, before any Read could begin,
// is meant to end a Read in progress: net/http does this when a library hijacks. It says nothing
// about the peer.
func (s *session) interrupted(t time.Time) {
	if !t.IsZero() && t.Before(begun) {
		s.flags.set(stopped)
	} else if s.flags.has(stopped) {
		s.flags.clear(stopped)
	}
}

// get returns the deadline of the application.
func (d *deadline) get() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// during calls write with the deadline own, if c has deadlines.
func (d *deadline) during(c *Conn, own time.Time, write func() error) error {
	w := c.socket()
	if w == nil {
		return write()
	}
	d.begin(w, own)
	defer d.end(w)
	return write()
}

// begin and end may panic, because the transport may.
func (d *deadline) begin(w net.Conn, own time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = w.SetWriteDeadline(own)
	d.own = true
}

func (d *deadline) end(w net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = false
	_ = w.SetWriteDeadline(d.last)
}
