package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// statusClientClosed is the status that proxies log if the client left before the
// response. No client receives it.
const statusClientClosed = 499

// errCut is the cause of the contexts that the end of a drain cancels.
var errCut = errors.New("the proxy is shutting down")

const (
	reasonShutdown   = "shutdown"
	reasonMalformed  = "malformed_response"
	reasonIncomplete = "incomplete_response"
)

var errStatus = errors.New("the backend sent a status below 100")

// failure says why the backend sent no response.
type failure struct {
	reason string // from a closed set
	status int
}

// ofBackend reports whether the backend caused the failure, not the client or the
// proxy.
func (f failure) ofBackend() bool {
	return f.status >= http.StatusInternalServerError && f.reason != reasonShutdown
}

func (f failure) text() string {
	if f.status == statusClientClosed {
		return "Client Closed Request"
	}
	return http.StatusText(f.status)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// classify returns the failure for err, the error of a request with context ctx. body
// is the error of reading the client's body, or nil.
func classify(ctx context.Context, err, body error) failure {
	var (
		op     *net.OpError
		dns    *net.DNSError
		cert   *tls.CertificateVerificationError
		record tls.RecordHeaderError
	)
	switch {
	case errors.Is(context.Cause(ctx), errCut):
		return failure{reasonShutdown, http.StatusServiceUnavailable}
	case errors.Is(err, errBackendLeft):
		return failure{"closed", http.StatusBadGateway}
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
	alert := op != nil && (op.Op == "remote error" || op.Op == "local error") // crypto/tls exports no type for alerts
	late := isTimeout(err) || errors.Is(err, syscall.ETIMEDOUT)
	switch {
	case late && dialing:
		return failure{"connect_timeout", http.StatusGatewayTimeout}
	case late:
		return failure{"response_timeout", http.StatusGatewayTimeout}
	case errors.As(err, &dns):
		return failure{"name", http.StatusBadGateway}
	case dialing:
		return failure{"connect", http.StatusBadGateway}
	case errors.As(err, &cert), errors.As(err, &record), alert:
		return failure{"tls", http.StatusBadGateway}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		strings.Contains(err.Error(), "server closed idle connection"): // net/http does not export this error
		return failure{"closed", http.StatusBadGateway}
	}
	return failure{reasonMalformed, http.StatusBadGateway}
}

// maxLogged is the maximum length of a path in a log line, because the client chooses
// the path.
const maxLogged = 1 << 10

func loggedPath(path string) string {
	if len(path) > maxLogged {
		return path[:maxLogged] + "..."
	}
	return path
}

// logEvery is the minimum time between two log lines with the same reason.
const logEvery = 10 * time.Second

// failureLog logs each reason once per logEvery, with the number of failures that it
// left out. A backend that is down fails every request.
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
	l.logger.Warn("the backend sent no valid response",
		"reason", f.reason, "status", f.status, "backend", backend,
		"method", r.Method, "path", loggedPath(r.URL.Path), "remote_addr", r.RemoteAddr,
		"err", loggedError(f, err), "left_out", left)
}

// quoted matches what net/http quotes of a response.
var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// loggedError returns the text of err without the quotes of a malformed response: it can be
// long, and hold a header or a body.
func loggedError(f failure, err error) string {
	text := err.Error()
	if f.reason == reasonMalformed || f.reason == reasonIncomplete {
		text = quoted.ReplaceAllString(text, `"..."`)
	}
	return text
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
