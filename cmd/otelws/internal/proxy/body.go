package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// clientBody is the body of a client's request. It remembers the error of a Read, so
// that the proxy does not blame the backend for a broken request.
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

// failed returns the first error of Read, or nil. b may be nil.
func (b *clientBody) failed() error {
	if b == nil {
		return nil
	}
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// classifyBody classifies an error of clientBody.
func classifyBody(err error) failure {
	var network net.Error
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) {
		return failure{"client_closed", statusClientClosed}
	}
	return failure{"client_body", http.StatusBadRequest}
}
