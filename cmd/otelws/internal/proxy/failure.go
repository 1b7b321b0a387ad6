package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// statusClientClosed is what proxies log for a client that left before the
// response. Nobody receives it.
const statusClientClosed = 499

// errCut is the cause of contexts that a drain ends.
var errCut = errors.New("the proxy is shutting down")

const reasonShutdown = "shutdown"

// failure is why there is no response of the backend.
type failure struct {
	reason string // one of a few
	status int
}

// ofBackend says whether the failure is the backend's, and neither the client's nor
// the proxy's own.
func (f failure) ofBackend() bool {
	return f.status >= http.StatusInternalServerError && f.reason != reasonShutdown
}

func (f failure) text() string {
	if f.status == statusClientClosed {
		return "Client Closed Request"
	}
	return http.StatusText(f.status)
}

// classify takes the error of a request with context ctx, and what was wrong with
// the client's body.
func classify(ctx context.Context, err, body error) failure {
	var (
		op      *net.OpError
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		timeout net.Error
	)
	switch {
	case errors.Is(context.Cause(ctx), errCut):
		return failure{reasonShutdown, http.StatusServiceUnavailable}
	case ctx.Err() != nil:
		return failure{"client_closed", statusClientClosed}
	case body != nil:
		return classifyBody(body)
	case errors.Is(err, errUpgrade):
		return failure{"wrong_upgrade", http.StatusBadGateway}
	case errors.Is(err, errAccept):
		return failure{"wrong_accept", http.StatusBadGateway}
	}
	dialing := errors.As(err, &op) && op.Op == "dial"
	late := errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, syscall.ETIMEDOUT)
	switch {
	case late && dialing:
		return failure{"connect_timeout", http.StatusGatewayTimeout}
	case late:
		return failure{"response_timeout", http.StatusGatewayTimeout}
	case errors.As(err, &dns):
		return failure{"name", http.StatusBadGateway}
	case dialing:
		return failure{"connect", http.StatusBadGateway}
	case errors.As(err, &cert), errors.As(err, &record), errors.As(err, &alert):
		return failure{"tls", http.StatusBadGateway}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		strings.Contains(err.Error(), "server closed idle connection"): // which net/http does not export
		return failure{"closed", http.StatusBadGateway}
	}
	return failure{"malformed_response", http.StatusBadGateway}
}

// maxLogged is how much of a path is logged, which a client chose.
const maxLogged = 1 << 10

func loggedPath(path string) string {
	if len(path) > maxLogged {
		return path[:maxLogged] + "..."
	}
	return path
}

// logEvery is how often a reason is logged.
const logEvery = 10 * time.Second

// failureLog logs each reason once in a while, with the number of those left
// out: a backend that is down fails every request.
type failureLog struct {
	logger *slog.Logger

	mu   sync.Mutex
	last map[string]*logged
}

type logged struct {
	at   time.Time
	left int
}

func newFailureLog(l *slog.Logger) *failureLog {
	return &failureLog{logger: l, last: make(map[string]*logged)}
}

func (l *failureLog) log(r *http.Request, backend string, f failure, err error) {
	left, ok := l.due(f.reason)
	if !ok {
		return
	}
	l.logger.Warn("the backend did not answer",
		"reason", f.reason, "status", f.status, "backend", backend,
		"method", r.Method, "path", loggedPath(r.URL.Path), "remote_addr", r.RemoteAddr,
		"err", err, "left_out", left)
}

func (l *failureLog) due(reason string) (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.last[reason]
	if e == nil {
		e = &logged{}
		l.last[reason] = e
	}
	now := time.Now()
	if now.Sub(e.at) < logEvery {
		e.left++
		return 0, false
	}
	left = e.left
	*e = logged{at: now}
	return left, true
}
