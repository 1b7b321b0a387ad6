package otelws

import (
	"io"
	"net/http"
	"sync"
)

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// requestBody is the body of a request. net/http reads it through the same buffer that a library
// takes over with the connection.
type requestBody struct {
	io.ReadCloser
	mu           sync.Mutex // held by a Read
	begun, ended bool       // Reads of the body
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended = true
	}
	return n, err
}

// lockBuffer reports whether no Read of the body has begun, or all of it has been read. If so, it locks
// b.mu, so that no Read can begin before the caller unlocks it.
func (b *requestBody) lockBuffer() bool {
	if !b.mu.TryLock() {
		return false
	}
	if b.begun && !b.ended {
		b.mu.Unlock()
		return false
	}
	return true
}
