package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

// idleConns is the maximum number of idle connections to the backend that the proxy
// keeps.
const idleConns = 256

// target is the address of the backend.
type target struct {
	url              *url.URL                   // http or https
	network, address string                     // to dial
	socketBytes      atomic.Int64               // receive buffer of a connection; 0: the kernel's default
	tls              atomic.Pointer[tls.Config] // nil without TLS
}

// String returns the address for logs and errors. It contains no secret, because
// parse refuses a user and a query.
func (t *target) String() string {
	if t.network == "unix" {
		return "unix:" + t.address
	}
	return t.url.String()
}

func newTarget(backend string, files TLSFiles) (*target, error) {
	t := &target{network: "tcp"}
	if path, ok := strings.CutPrefix(backend, "unix:"); ok {
		if path == "" {
			return nil, fmt.Errorf("backend %q: add the path of the socket, such as unix:/run/app.sock", backend)
		}
		t.network, t.address = "unix", path
		t.url = &url.URL{Scheme: "http", Host: "localhost"}
	} else if err := t.parse(backend); err != nil {
		return nil, err
	}
	cfg, err := t.clientTLS(files)
	t.tls.Store(cfg)
	return t, err
}

// clientTLS reads the file of the certificate authorities. It returns nil if the
// backend does not use TLS.
func (t *target) clientTLS(files TLSFiles) (*tls.Config, error) {
	if t.url.Scheme != "https" {
		if files != (TLSFiles{}) {
			return nil, fmt.Errorf("backend %s does not use TLS: use https or wss, or remove its TLS settings", t)
		}
		return nil, nil
	}
	cfg, err := files.client()
	if err != nil {
		return nil, err
	}
	cfg.ServerName = cmp.Or(cfg.ServerName, t.url.Hostname())
	return cfg, nil
}

func (t *target) parse(backend string) error {
	u, err := url.Parse(backend)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("backend %q: use a URL such as http://localhost:3000, or unix: and the path of a socket", secret.Hide(backend))
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return fmt.Errorf("backend %q: use the scheme http, https, ws or wss", secret.Hide(backend))
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("backend %q: use scheme, host and path only", secret.Hide(backend))
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("backend %q: use a port from 1 to 65535", secret.Hide(backend))
	}
	t.url, t.address = u, net.JoinHostPort(u.Hostname(), port)
	return nil
}

// dial connects without TLS.
func (t *target) dial(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(ctx, t.network, t.address)
	if n := int(t.socketBytes.Load()); n > 0 {
		if b, ok := c.(interface{ SetReadBuffer(int) error }); ok {
			_ = b.SetReadBuffer(n)
		}
	}
	if err != nil {
		return nil, err
	}
	return newBackendSocket(c), nil
}

// dialTLS connects with TLS.
func (t *target) dialTLS(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 2*timeout) // once for TCP, once for TLS
		defer cancel()
	}
	c, err := t.dial(ctx, timeout)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(c, t.tls.Load())
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return secure, nil
}

// newTransport returns a transport that adds nothing to a client's request.
func newTransport(t *target, connect func() time.Duration, response time.Duration) *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return t.dial(ctx, connect()) },
		DialTLSContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return t.dialTLS(ctx, connect()) },
		ResponseHeaderTimeout:  response,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    descriptorRoom(maxDescriptors()).idle,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              &http1,
	}
}
