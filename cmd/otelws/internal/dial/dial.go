// Package dial holds the code that the commands share to open WebSocket connections.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/plain"
)

// Transport returns a transport that uses dial. It has small buffers, because each
// connection keeps its buffers while it is open.
func Transport(cfg *tls.Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   cfg,
		DisableKeepAlives: true,
		ReadBufferSize:    1 << 10,
		WriteBufferSize:   1 << 10,
		DialContext:       dial,
	}
}

// Options returns the options of a handshake that sends header. If header has a Host, it replaces
// the host of the address, as in curl.
func Options(transport http.RoundTripper, header http.Header, subprotocols []string) *websocket.DialOptions {
	return &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: transport},
		HTTPHeader:   header,
		Host:         header.Get("Host"),
		Subprotocols: subprotocols,
	}
}

// Handshake returns a short description of a failed handshake. resp may be nil.
func Handshake(resp *http.Response, err error) string {
	if resp == nil {
		var op *net.OpError
		switch what := Network(err); {
		case errors.As(err, &op) && op.Op == "proxyconnect":
			return "proxy: " + what
		case what == timedOut:
			return "handshake: no answer in time"
		case what == ended:
			return "handshake: the server closed the connection"
		case what == other && !(errors.As(err, &op) && op.Op == "dial"):
			return noAnswer
		default:
			return "dial: " + what
		}
	}
	if resp.StatusCode != http.StatusSwitchingProtocols && http.StatusText(resp.StatusCode) != "" {
		return fmt.Sprintf("handshake: answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return noAnswer
}

// Advise adds a hint to descriptions of failed handshakes, as [Handshake] returns
// them.
func Advise(kinds string) string {
	switch {
	case strings.Contains(kinds, "answered 200 "), strings.Contains(kinds, "answered 404 "), strings.Contains(kinds, "answered 405 "):
		return kinds + ": is this the path of a WebSocket?"
	case strings.Contains(kinds, "dial: refused"):
		return kinds + ": is the server running, and is this its port?"
	}
	return kinds
}

// Failures counts failed handshakes by their descriptions. The zero value is empty.
type Failures struct{ kinds []failures }

type failures struct {
	kind, cause string
	count       int64
}

// Add adds n failures of a kind, as [Handshake] describes it. err is the error of one of them.
func (f *Failures) Add(kind string, n int64, err error) {
	for i := range f.kinds {
		if f.kinds[i].kind == kind {
			f.kinds[i].count += n
			return
		}
	}
	f.kinds = append(f.kinds, failures{kind, cause(kind, err), n})
}

// String returns each kind with its number. If a kind does not tell the reason, the error follows.
func (f *Failures) String() string {
	var all []string
	for _, k := range f.kinds {
		text := fmt.Sprintf("%s (%d)", k.kind, k.count)
		if k.cause != "" {
			text += ": " + k.cause
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func cause(kind string, err error) string {
	if kind != noAnswer && !strings.HasSuffix(kind, ": "+other) && !strings.HasSuffix(kind, ": "+insecure) {
		return ""
	}
	return OneLine(strings.TrimPrefix(Bare(err).Error(), "failed to WebSocket dial: "))
}

// Bare returns the error of a request without the method and the address.
func Bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// AdviseMetrics adds a hint to the error of a request for metrics if nothing listens
// at the address.
func AdviseMetrics(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: start the server, or use the host and port of its metrics", err)
	}
	return err
}

const (
	noAnswer = "handshake: no valid answer"
	insecure = "TLS"
	timedOut = "timed out"
	ended    = "ended without a close frame"
	other    = "other"
)

// Network returns a short description of an error from a dial or an open connection.
// It contains no text of the peer.
func Network(err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var verification *tls.CertificateVerificationError
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset by the server"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "out of file descriptors here (ulimit -n)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "out of ports here"
	case errors.As(err, &dns):
		return "host not found"
	case errors.As(err, &record), errors.As(err, &authority), errors.As(err, &verification),
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // an alert
		return insecure
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ended
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return "cut off at the end"
	case errors.Is(err, websocket.ErrMessageTooBig):
		return "message too big"
	}
	return other
}

// OneLine returns text of a peer as one line without control characters, of at most
// 200 bytes.
func OneLine(text string) string {
	text = plain.Text(text)
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "..."
	}
	return text
}
