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

// isInterrupt says whether t, a deadline, was set to end a Read in progress: it had
// passed before there could be one. net/http ends its own so when a library hijacks.
// It says nothing of the peer.
func isInterrupt(t time.Time) bool { return !t.IsZero() && t.Before(begun) }

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
