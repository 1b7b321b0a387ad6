// Package proxy is a reverse proxy whose WebSocket connections are watched, on
// the client's side and on the backend's.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws"
)

// Config is what a Proxy is made of. Backend and WebSockets are required.
type Config struct {
	// Backend is an http, https, ws or wss URL, the path of which goes before
	// that of each request, or unix: and the path of a socket.
	Backend string
	// BackendTLS is for an https or wss backend.
	BackendTLS TLSFiles
	// Host goes to the backend in place of the client's Host.
	Host string
	// ConnectTimeout is for the connection to the backend, TLS included,
	// ResponseTimeout for the head of its response. 0 is no limit.
	ConnectTimeout, ResponseTimeout time.Duration
	// Forwarded says what becomes of the X-Forwarded headers.
	Forwarded Forwarded

	// ServerTLS is the certificate of the listener, which speaks TLS with one.
	ServerTLS TLSFiles
	// DrainTimeout is how long what is under way may take at the end.
	DrainTimeout time.Duration

	// WebSockets watches the connections, and Routes is what it knows as their
	// routes.
	WebSockets *otelws.Instrumentation
	Routes     *Routes

	// Logger is slog.Default() where it is nil.
	Logger *slog.Logger
}

// Proxy is a handler, and the server for it. It is made by New.
type Proxy struct {
	cfg       Config
	target    *target
	transport *http.Transport
	reverse   *httputil.ReverseProxy
	handler   http.Handler
	failures  *failureLog
	cert      *certificate // nil without TLS

	active   active
	draining atomic.Bool
	probe    probe
	linger   linger
}

// New returns a Proxy, which has connected to nothing. An error says in one
// line what is wrong with the configuration.
func New(cfg Config) (*Proxy, error) {
	if cfg.WebSockets == nil {
		return nil, errors.New("there is no instrumentation")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Routes == nil {
		cfg.Routes = &Routes{mux: http.NewServeMux()}
	}
	if cfg.ConnectTimeout < 0 || cfg.ResponseTimeout < 0 || cfg.DrainTimeout < 0 {
		return nil, errors.New("a timeout is negative: use a positive duration, or 0")
	}
	target, err := newTarget(cfg.Backend, cfg.BackendTLS)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		cfg:       cfg,
		target:    target,
		transport: newTransport(target, cfg.ConnectTimeout, cfg.ResponseTimeout),
		failures:  newFailureLog(cfg.Logger),
		linger:    linger{clientEnded, backendEnded},
	}
	if p.cert, err = newCertificate(cfg.ServerTLS, cfg.Logger); err != nil {
		return nil, err
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: p.rewrite,
		// This injects the context of the connection's span as well, where the
		// instrumentation has a propagator.
		Transport:      cfg.WebSockets.Transport(p.transport),
		FlushInterval:  -1, // whoever sends in pieces means them to arrive in pieces
		BufferPool:     largeBuffers,
		ModifyResponse: p.check,
		ErrorHandler:   p.fail,
		ErrorLog:       slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	p.handler = cfg.WebSockets.Handler(http.HandlerFunc(p.forward))
	return p, nil
}

// ServeHTTP passes a request on to the backend.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.active.enter()
	defer p.active.leave()
	p.handler.ServeHTTP(w, r)
}

func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	r.Pattern = p.cfg.Routes.match(r)
	if r.Header.Get("Upgrade") == "" {
		p.reverse.ServeHTTP(w, r)
		return
	}
	// ReverseProxy closes the backend's connection when the context is done,
	// and the tunnel is what ends that.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	p.reverse.ServeHTTP(&upgradable{ResponseWriter: w, proxy: p, cancel: cancel}, r.WithContext(ctx))
}

func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	pr.SetURL(p.target.url)
	// As it came, with what cannot be parsed.
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	pr.Out.Host = pr.In.Host
	if p.cfg.Host != "" {
		pr.Out.Host = p.cfg.Host
	}
	p.cfg.Forwarded.apply(pr)
}

// check refuses a switch of protocols that the client did not ask for, or that
// is not an answer to its request: a WebSocket client would end the connection
// (RFC 6455 section 4.1). ReverseProxy closes what it refuses.
func (p *Proxy) check(resp *http.Response) error {
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	body, err := upgraded(resp)
	if err != nil {
		return err
	}
	p.active.enter()
	resp.Body = &backendConn{ReadWriteCloser: body, left: sync.OnceFunc(p.active.leave)}
	return nil
}

// fail answers for a backend that did not.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := classify(r.Context(), err)
	p.failures.log(r, p.cfg.Backend, f, err)
	if u, ok := w.(*upgradable); ok && u.hijacked {
		return
	}
	http.Error(w, fmt.Sprintf("%d %s", f.status, f.text()), f.status)
}

// serverLog is for what net/http has to say of a connection.
func (p *Proxy) serverLog() *log.Logger {
	return slog.NewLogLogger(p.cfg.Logger.Handler(), slog.LevelDebug)
}
