package tap

import (
	"sync"
	"time"
)

// deadline keeps the write deadline of the application apart from that of the
// tap's own frames.
type deadline struct {
	mu   sync.Mutex
	own  bool
	last time.Time // as the application has set it
}

// set takes note of t and sets it by apply, or by other where the tap's own write
// deadline is in force. Its error is that of the transport.
func (d *deadline) set(t time.Time, apply func(time.Time) error, other func(time.Time) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = t
	if d.own {
		return other(t)
	}
	return apply(t)
}

// begun is when this process began, or a moment later.
var begun = time.Now()

// interrupted takes note of t, a read deadline. One that had passed before there
// could be a Read was set to end a Read in progress, as net/http ends its own when a
// library hijacks. It says nothing of the peer.
func (s *session) interrupted(t time.Time) {
	if !t.IsZero() && t.Before(begun) {
		s.flags.set(stopped)
	} else if s.flags.has(stopped) {
		s.flags.clear(stopped)
	}
}

// get returns the deadline as the application has set it.
func (d *deadline) get() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// during calls write under the deadline own, where c has deadlines.
func (d *deadline) during(c *Conn, own time.Time, write func() error) error {
	w := c.socket()
	if w == nil {
		return write()
	}
	d.mu.Lock()
	d.own = true
	_ = w.SetWriteDeadline(own)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.own = false
		_ = w.SetWriteDeadline(d.last)
	}()
	return write()
}
