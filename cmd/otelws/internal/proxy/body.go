package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// clientBody is the body of a request. It remembers what was wrong with it, which
// is no fault of the backend that it goes to.
type clientBody struct {
	io.ReadCloser
	failure atomic.Pointer[error]
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.failure.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failed returns nil where nothing was wrong. It may be called on nil.
func (b *clientBody) failed() error {
	if b == nil {
		return nil
	}
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// classifyBody is for the error of a client's body.
func classifyBody(err error) failure {
	var network net.Error
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) {
		return failure{"client_closed", statusClientClosed}
	}
	return failure{"client_body", http.StatusBadRequest}
}
