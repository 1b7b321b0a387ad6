package exporter

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// reserved is how many descriptors are kept back: for the pair of scrapes that is usual, and for
	// the files that each collection reads.
	reserved = 16
	// forAnswers are those of them that a collection does not get: one that it gives back may go to
	// somebody else first, and a scrape without process_open_fds is better than none.
	forAnswers = 8
	// starvedWait is after what time to look whether there are descriptors again.
	starvedWait = 100 * time.Millisecond
	// lastRead is within what time a Read returns whose connection was closed.
	lastRead = time.Millisecond
)

// reserve is descriptors that are open for nothing, so that a scrape is answered, and tells of it,
// when others have taken all that there are: an attack or a leak at the process's other listeners.
type reserve struct {
	mu     sync.Mutex
	users  int // listeners
	spares []*os.File
}

// listen has l accept when there is no descriptor left.
func (r *reserve) listen(l net.Listener) net.Listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users++
	r.fill()
	return &reservedListener{Listener: l, reserve: r}
}

// handle lends a descriptor to each request, for what the collectors read.
func (r *reserve) handle(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.free(forAnswers)
		defer r.restore()
		h.ServeHTTP(w, req)
	})
}

// free gives one up unless there are no more than least, and says whether it did.
func (r *reserve) free(least int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.spares) <= least {
		return false
	}
	last := len(r.spares) - 1
	_ = r.spares[last].Close()
	r.spares = r.spares[:last]
	return true
}

// restore takes back what can be had.
func (r *reserve) restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fill()
}

// fill is called with the lock held.
func (r *reserve) fill() {
	for r.users > 0 && len(r.spares) < reserved {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return // there are none now
		}
		r.spares = append(r.spares, f)
	}
}

// leave gives all up with the last listener.
func (r *reserve) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	for _, f := range r.spares {
		_ = f.Close()
	}
	r.spares = nil
}

type reservedListener struct {
	net.Listener
	reserve *reserve
	closed  sync.Once
}

func (l *reservedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			return &reservedConn{Conn: c, reserve: l.reserve}, nil
		}
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return nil, err
		}
		// The error comes whether anybody wants to connect or not. What is given up for nobody is
		// soon somebody else's.
		wanted, waitErr := isWanted(l.Listener, starvedWait)
		if waitErr != nil || wanted && !l.reserve.free(0) {
			return nil, err
		}
	}
}

func (l *reservedListener) Close() error {
	err := l.Listener.Close()
	l.closed.Do(l.reserve.leave)
	return err
}

type reservedConn struct {
	net.Conn
	reserve *reserve
}

func (c *reservedConn) Close() error {
	err := c.Conn.Close()
	c.reserve.restore()
	// Its descriptor goes when the last Read has returned.
	time.AfterFunc(lastRead, c.reserve.restore)
	return err
}
