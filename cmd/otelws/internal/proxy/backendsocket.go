package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// backendSocket is a connection to the backend. A backend may answer and reset the connection
// while it gets the body of a request. Its answer can still be read, but net/http drops the
// connection at the first error of a Write. So that error waits until everything has been read.
type backendSocket struct {
	net.Conn
	patience atomic.Int64  // how long a Write waits, in nanoseconds; 0 unless a body is sent
	read     chan struct{} // closed when there is nothing more to read
	once     sync.Once     // closes read
}

func newBackendSocket(c net.Conn) *backendSocket {
	return &backendSocket{Conn: c, read: make(chan struct{})}
}

func (s *backendSocket) end() { s.once.Do(func() { close(s.read) }) }

func (s *backendSocket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil && !isTimeout(err) {
		s.end()
	}
	return n, err
}

func (s *backendSocket) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	patience := time.Duration(s.patience.Load())
	if patience > 0 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		limit := time.NewTimer(patience)
		defer limit.Stop()
		select {
		case <-s.read:
		case <-limit.C:
		}
	}
	return n, err
}

func (s *backendSocket) Close() error {
	s.end()
	return s.Conn.Close()
}

func (s *backendSocket) CloseWrite() error { return closeWrite(s.Conn) }

// NetConn returns the connection below.
func (s *backendSocket) NetConn() net.Conn { return s.Conn }

// waitForAnswer sets how long a Write to c, a connection to the backend, waits for the answer
// after an error.
func waitForAnswer(c net.Conn, d time.Duration) {
	for layer := range layers(c) {
		if s, ok := layer.(*backendSocket); ok {
			s.patience.Store(int64(d))
			return
		}
	}
}
