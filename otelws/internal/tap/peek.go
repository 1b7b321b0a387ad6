package tap

import (
	"bytes"

	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/socket"
)

// peeked are bytes that the kernel held for the application.
type peeked struct {
	bytes []byte
	at    int64 // number of bytes received at that time
}

// mayBeUnread reports whether a close frame of the peer may be unread.
func (s *session) mayBeUnread() bool {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.ended && !v.closeReceived && !v.closeSent && !v.gaveUp
}

// peek keeps a copy of the data that the kernel holds for the application. Beneath TLS, that data is
// encrypted, and peek does nothing.
func (s *session) peek() {
	at := s.inbound.passed.Bytes()
	socket.Peek(s.conn.kernel(), func(b []byte) {
		v := &s.verdict
		v.mu.Lock()
		defer v.mu.Unlock()
		v.peeked = &peeked{bytes.Clone(b), at}
	})
}

// takePeeked records a close frame in the data that the kernel holds. A Read may have taken a part of
// that data. A Read that was in progress during the peek may also have taken the data before it.
func (s *session) takePeeked() {
	v := &s.verdict
	v.mu.Lock()
	isNone := v.peeked == nil
	v.mu.Unlock()
	if isNone {
		return
	}
	s.inbound.mu.Lock()
	defer s.inbound.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closeReceived || v.ended {
		return
	}
	b := v.peeked.bytes
	read := min(s.inbound.passed.Bytes()-v.peeked.at, int64(len(b)))
	for _, unread := range [][]byte{b[read:], b} {
		if f, ok := findClose(s.inbound.parser.Clone(), unread); ok {
			c, _ := s.readCloseFrame(&f, Peer)
			s.took(c)
			return
		}
	}
}

// findClose returns the close frame in b, if there is one.
func findClose(parser frame.Parser, b []byte) (frame.Frame, bool) {
	for {
		f, n, ok, _ := parser.Next(b)
		if !ok || f.Opcode == frame.Close {
			return f, ok
		}
		b = b[n:]
	}
}
