package otelwstest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe returns the two ends of a connection in memory. Unlike [net.Pipe], but like a socket, it has
// buffers. Without buffers, two ends that write at the same time would wait for each other forever.
func pipe() (net.Conn, net.Conn) {
	there, back := newStream(), newStream()
	return &end{in: back, out: there}, &end{in: there, out: back}
}

// bufferSize is the capacity of a stream. When it is full, Write waits.
const bufferSize = 64 << 10

// stream is one direction of a pipe.
type stream struct {
	mu      sync.Mutex
	changed sync.Cond

	buffer     []byte
	writerGone bool
	readerGone bool
	read       deadline
	write      deadline
}

func newStream() *stream {
	s := &stream{}
	s.changed.L = &s.mu
	return s
}

// deadline wakes the callers that wait on a stream when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) set(s *stream, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.stop()
	d.at = at
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
	}
	s.changed.Broadcast()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

// end is one end of a pipe.
type end struct{ in, out *stream }

func (e *end) Read(p []byte) (int, error) {
	s := e.in
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerGone:
			return 0, net.ErrClosed
		case s.read.passed():
			return 0, os.ErrDeadlineExceeded
		case len(s.buffer) > 0 || len(p) == 0:
			n := copy(p, s.buffer)
			s.buffer = s.buffer[n:]
			s.changed.Broadcast()
			return n, nil
		case s.writerGone:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (e *end) Write(p []byte) (n int, err error) {
	s := e.out
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writerGone:
			return n, net.ErrClosed
		case s.readerGone:
			return n, io.ErrClosedPipe
		case s.write.passed():
			return n, os.ErrDeadlineExceeded
		}
		c := min(bufferSize-len(s.buffer), len(p)-n)
		s.buffer = append(s.buffer, p[n:n+c]...)
		n += c
		s.changed.Broadcast()
		if n == len(p) {
			return n, nil
		}
		s.changed.Wait()
	}
}

// Close ends both directions. The peer can still read the bytes that were written before.
func (e *end) Close() error {
	e.in.leave(&e.in.readerGone)
	e.out.leave(&e.out.writerGone)
	return nil
}

func (s *stream) leave(gone *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*gone = true
	s.read.stop()
	s.write.stop()
	s.changed.Broadcast()
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.read.set(e.in, t)
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.write.set(e.out, t)
	return nil
}

func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *end) LocalAddr() net.Addr  { return pipeAddr{} }
func (e *end) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
