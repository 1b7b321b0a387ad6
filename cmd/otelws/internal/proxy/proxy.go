// Package proxy is a reverse proxy that measures WebSocket connections on both sides:
// the client's side and the backend's side.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws"
)

// Config configures a Proxy. Backend and WebSockets are required.
type Config struct {
	// Backend is a URL with the scheme http, https, ws or wss, or "unix:" and the
	// path of a socket. The proxy puts the path of the URL before the path of each
	// request.
	Backend string
	// BackendTLS configures TLS for an https or wss backend.
	BackendTLS TLSFiles
	// Host, if not empty, replaces the Host of the client's request.
	Host string
	// ConnectTimeout limits connecting to the backend, including TLS. ResponseTimeout
	// limits the wait for the head of its response. 0 means no limit.
	ConnectTimeout, ResponseTimeout time.Duration
	// Upgrades are protocols besides WebSocket that clients may switch to. The proxy
	// tunnels them without reading them.
	Upgrades []string

	// Trusted are the networks of the proxies in front of this one.
	Trusted Networks
	// Forwarded is the policy for X-Forwarded-For and similar headers.
	Forwarded Forwarded
	// TrustTraces makes the proxy accept the trace context of every client. By
	// default it accepts the trace context of trusted proxies only.
	TrustTraces bool
	// Limits restricts the resources that clients can use.
	Limits Limits

	// ServerTLS is the certificate of the listener. Without one, the listener does
	// not use TLS.
	ServerTLS TLSFiles
	// DrainTimeout limits the time that requests and connections have to end when
	// Serve stops. Drain adds options to those that WebSockets has from
	// [otelws.WithDrain].
	DrainTimeout time.Duration
	Drain        []otelws.DrainOption

	// WebSockets measures the connections. Routes matches each request to the route
	// under which WebSockets counts it.
	WebSockets *otelws.Instrumentation
	Routes     *Routes
	// MeterProvider creates the proxy's own counters. With nil the proxy does not
	// export them.
	MeterProvider metric.MeterProvider

	// Logger defaults to slog.Default().
	Logger *slog.Logger
}

// Proxy is a reverse proxy for WebSockets and plain HTTP. Use New to create one. It
// is safe for concurrent use.
type Proxy struct {
	cfg       Config
	target    *target
	transport *http.Transport
	reverse   *httputil.ReverseProxy
	handler   http.Handler
	failures  *failureLog
	metrics   *metrics
	cert      *certificate // nil without TLS

	settings    atomic.Pointer[settings]
	applying    sync.Mutex
	counts      counts
	rate        rates // all clients together
	clientRates rates
	requests    atomic.Int64 // in progress
	buffers     buffers

	active   active
	draining atomic.Bool
	probe    probe
	linger   linger

	tlsRefusals float64
}

// New returns a Proxy. It does not connect to the backend. An error describes the
// mistake in the configuration in one line.
func New(cfg Config) (*Proxy, error) {
	if cfg.WebSockets == nil {
		return nil, errors.New("Config.WebSockets is nil: set it to an otelws.Instrumentation")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Routes == nil {
		cfg.Routes = &Routes{mux: http.NewServeMux()}
	}
	s, err := newSettings(&cfg)
	if err != nil {
		return nil, err
	}
	target, err := newTarget(cfg.Backend, cfg.BackendTLS)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		cfg:      cfg,
		target:   target,
		failures: newFailureLog(cfg.Logger),
		linger:   linger{clientEnded, backendEnded, bodyUnread},

		tlsRefusals: defaultTLSRefusals,
	}
	p.settings.Store(s)
	p.transport = newTransport(target, func() time.Duration { return p.settings.Load().connectTimeout }, cfg.ResponseTimeout)
	target.socketBytes.Store(int64(s.limits.SocketBytes))
	p.buffers.left.Store(s.limits.BufferBytes)
	if p.metrics, err = newMetrics(cfg.MeterProvider); err != nil {
		return nil, err
	}
	if p.cert, err = newCertificate(cfg.ServerTLS, cfg.Logger); err != nil {
		return nil, err
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: p.rewrite,
		// If the instrumentation has a propagator, Transport also injects the context
		// of the connection's span.
		Transport:      cfg.WebSockets.Transport(switchChecker{p.transport}),
		FlushInterval:  -1, // flush at once, because parts of a streamed response must not wait
		BufferPool:     &p.buffers,
		ModifyResponse: p.check,
		ErrorHandler:   p.fail,
		ErrorLog:       slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	p.handler = cfg.WebSockets.Handler(http.HandlerFunc(p.forward))
	return p, nil
}

// ServeHTTP forwards a request to the backend.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.active.enter()
	defer p.active.leave()
	p.handler.ServeHTTP(w, r)
}

func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	conn := clientConnOf(r)
	if conn != nil {
		conn.requestArrived()
	}
	var body *clientBody
	if r.ContentLength != 0 {
		body = &clientBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
		defer body.leave(r, p.linger.body)
	}
	if r.Method == http.MethodOptions && r.RequestURI == "*" { // asks about the server, not about a resource
		w.Header().Set("Content-Length", "0")
		return
	}
	r.Pattern = p.cfg.Routes.match(r)
	protocol, leave, rf := p.admit(r)
	if rf != nil {
		p.metrics.refused[rf.reason].Add(1)
		rf.answer(w, r.ProtoMajor == 1 && r.ContentLength != 0 || endsConnection(r))
		return
	}
	defer leave()
	x := &exchange{ResponseWriter: w, request: r, proxy: p, client: conn, body: body}
	defer x.end()
	ctx := r.Context()
	if protocol != "" {
		// ReverseProxy closes the backend's connection when the context is done. The
		// end of the tunnel cancels this context.
		ctx, x.cancel = context.WithCancel(ctx)
		defer x.cancel()
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { body.sendTo(i.Conn) }})
	if body != nil {
		defer context.AfterFunc(ctx, func() { body.giveUp(context.Cause(ctx)) })()
	}
	out := r.WithContext(ctx)
	if body != nil {
		out.Body = body // not in r: net/http looks there for a body that it must not reset at once
	}
	p.reverse.ServeHTTP(x, out)
}

func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	pr.SetURL(p.target.url)
	pr.Out.URL.User = nil // a request in absolute form can have one
	// Keep the original query, including parts that net/url cannot parse.
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	pr.Out.Host = pr.In.Host
	if p.cfg.Host != "" {
		pr.Out.Host = p.cfg.Host
	}
	repeatable(pr.Out)
	s := p.settings.Load()
	s.forwarded.apply(pr, s.trusted.Trusts(pr.In))
	if !s.trustsTrace(pr.In) {
		dropClaims(pr.Out.Header, claimsTrace, false)
	}
}

// repeatable lets net/http repeat a PUT or a DELETE if the backend closes an idle connection
// at the moment of the request (RFC 9110 section 9.2.2), as it does for GET. It never repeats
// a request with a body.
func repeatable(r *http.Request) {
	const key = "X-Idempotency-Key"
	if _, ok := r.Header[key]; !ok && (r.Method == http.MethodPut || r.Method == http.MethodDelete) {
		r.Header[key] = []string{} // net/http does not send this empty list
	}
}

// TrustsTrace reports whether the proxy continues the trace that a request names.
func (p *Proxy) TrustsTrace(r *http.Request) bool { return p.settings.Load().trustsTrace(r) }

func (s *settings) trustsTrace(r *http.Request) bool { return s.trustTraces || s.trusted.Trusts(r) }

// check is the ModifyResponse of ReverseProxy.
func (p *Proxy) check(resp *http.Response) error {
	if resp.StatusCode < 100 { // net/http reads it, and panics when it is to write it
		return errStatus
	}
	if resp.StatusCode == http.StatusUpgradeRequired && resp.Request.ProtoMajor == 1 {
		// A 426 must name the protocol (RFC 9110 section 15.5.22). ReverseProxy has
		// removed the backend's Upgrade header, because it is hop-by-hop.
		resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{webSocket}
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body = &responseBody{resp.Body, func(err error) { p.incomplete(resp, err) }}
		return nil
	}
	p.active.enter()
	resp.Body = &backendConn{ReadWriteCloser: resp.Body.(io.ReadWriteCloser), left: sync.OnceFunc(p.active.leave)}
	return nil
}

// responseBody tells failed of an error of Read.
type responseBody struct {
	io.ReadCloser
	failed func(error)
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.failed(err)
	}
	return n, err
}

// incomplete logs that the backend did not finish a response. The client has its head
// already, so ReverseProxy closes the connection, which tells the client.
func (p *Proxy) incomplete(resp *http.Response, err error) {
	if classify(resp.Request.Context(), err, nil).ofBackend() {
		p.failures.log(resp.Request, p.target.String(), failure{reasonIncomplete, resp.StatusCode}, err)
	}
}

// fail is the ErrorHandler of ReverseProxy. It answers a request for which there is
// no valid response.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := w.(*exchange)
	if errors.Is(x.body.given(), errBackendLeft) {
		err = errBackendLeft // the end of the body has also cancelled the context
	}
	f := classify(r.Context(), err, x.body.failed())
	if f.ofBackend() {
		p.failures.log(r, p.target.String(), f, err)
	}
	switch {
	case x.hijacked:
	case f.status == http.StatusBadRequest:
		rf := refusal{reason: refusedBody, status: f.status, text: "the request body is malformed"}
		p.metrics.refused[rf.reason].Add(1)
		rf.answer(w, r.ProtoMajor == 1)
	default:
		http.Error(w, fmt.Sprintf("%d %s", f.status, f.text()), f.status)
	}
}

// serverLog returns the logger for net/http's messages about connections.
func (p *Proxy) serverLog() *log.Logger {
	return slog.NewLogLogger(p.cfg.Logger.Handler(), slog.LevelDebug)
}
