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
	"time"
)

// idleConns is how many idle connections to the backend are kept. More requests
// at a time than that open connections anew.
const idleConns = 256

// target is where the backend is.
type target struct {
	url              *url.URL // http or https
	network, address string   // that is dialed
	tls              *tls.Config
}

func newTarget(backend string, files TLSFiles) (*target, error) {
	t := &target{network: "tcp"}
	if path, ok := strings.CutPrefix(backend, "unix:"); ok {
		if path == "" {
			return nil, fmt.Errorf("backend %q: a socket has a path, such as unix:/run/app.sock", backend)
		}
		t.network, t.address = "unix", path
		t.url = &url.URL{Scheme: "http", Host: "localhost"}
	} else if err := t.parse(backend); err != nil {
		return nil, err
	}
	if t.url.Scheme != "https" {
		if files != (TLSFiles{}) {
			return nil, fmt.Errorf("backend %q speaks no TLS: use https or wss, or leave out its TLS settings", backend)
		}
		return t, nil
	}
	var err error
	t.tls, err = files.client()
	if err != nil {
		return nil, err
	}
	t.tls.ServerName = cmp.Or(t.tls.ServerName, t.url.Hostname())
	return t, nil
}

func (t *target) parse(backend string) error {
	u, err := url.Parse(backend)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("backend %q: use a URL such as http://localhost:3000, or unix: and the path of a socket", backend)
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return fmt.Errorf("backend %q: use the scheme http, https, ws or wss", backend)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("backend %s: use scheme, host and path only", u.Redacted())
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("backend %q: use a port from 1 to 65535", backend)
	}
	t.url, t.address = u, net.JoinHostPort(u.Hostname(), port)
	return nil
}

// dial connects without TLS.
func (t *target) dial(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	return d.DialContext(ctx, t.network, t.address)
}

// newTransport returns a transport that asks for nothing which the client did
// not ask for.
func newTransport(t *target, connect, response time.Duration) *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return t.dial(ctx, connect) },
		TLSClientConfig:        t.tls,
		TLSHandshakeTimeout:    connect,
		ResponseHeaderTimeout:  response,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              &http1,
	}
}
