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

	"go.opentelemetry.io/otel/metric"

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
	// Upgrades are protocols that clients may switch to beside WebSocket. Nothing of
	// them is seen but that there is a tunnel.
	Upgrades []string

	// Trusted are the networks of the proxies that clients come through.
	Trusted Networks
	// Forwarded says what becomes of the headers by which a proxy tells of a client.
	Forwarded Forwarded
	// TrustTraces has the backend see the trace that any client names, and not only
	// that of a trusted proxy's.
	TrustTraces bool
	// Limits bound what clients can take.
	Limits Limits

	// ServerTLS is the certificate of the listener, which speaks TLS with one.
	ServerTLS TLSFiles
	// DrainTimeout is how long what is under way may take at the end, and Drain how
	// WebSockets are told, beyond what WebSockets has by [otelws.WithDrain].
	DrainTimeout time.Duration
	Drain        []otelws.DrainOption

	// WebSockets watches the connections, and Routes is what it knows as their
	// routes.
	WebSockets *otelws.Instrumentation
	Routes     *Routes
	// MeterProvider is for what the proxy counts itself, nil for nowhere.
	MeterProvider metric.MeterProvider

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
	metrics   *metrics
	cert      *certificate // nil without TLS

	settings    atomic.Pointer[settings]
	applying    sync.Mutex
	counts      counts
	rate        rates // of all clients
	clientRates rates
	requests    atomic.Int64 // under way
	buffers     buffers

	active   active
	draining atomic.Bool
	probe    probe
	linger   linger

	courtesyRate float64
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
		linger:   linger{clientEnded, backendEnded},

		courtesyRate: defaultCourtesyRate,
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
		// This injects the context of the connection's span as well, where the
		// instrumentation has a propagator.
		Transport:      cfg.WebSockets.Transport(p.transport),
		FlushInterval:  -1, // whoever sends in pieces means them to arrive in pieces
		BufferPool:     &p.buffers,
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
	visitor := visitorOf(r)
	if visitor != nil {
		visitor.asks()
	}
	r.Pattern = p.cfg.Routes.match(r)
	protocol, leave, rf := p.admit(r)
	if rf != nil {
		p.metrics.refused[rf.reason].Add(1)
		rf.answer(w, r.ContentLength != 0 || endsConnection(r))
		return
	}
	defer leave()
	x := &exchange{ResponseWriter: w, proxy: p, visitor: visitor, closes: endsConnection(r)}
	defer x.end()
	ctx := r.Context()
	if protocol != "" {
		// ReverseProxy closes the backend's connection when the context is done,
		// and the tunnel is what ends that.
		ctx, x.cancel = context.WithCancel(ctx)
		defer x.cancel()
	}
	r = r.WithContext(ctx)
	if r.ContentLength != 0 {
		x.body = &clientBody{ReadCloser: r.Body}
		r.Body = x.body
	}
	p.reverse.ServeHTTP(x, r)
}

func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	pr.SetURL(p.target.url)
	pr.Out.URL.User = nil // of a request in absolute form
	// As it came, with what cannot be parsed.
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	pr.Out.Host = pr.In.Host
	if p.cfg.Host != "" {
		pr.Out.Host = p.cfg.Host
	}
	s := p.settings.Load()
	s.forwarded.apply(pr, s.trusted.Trusts(pr.In))
	if !s.trustsTrace(pr.In) {
		dropClaims(pr.Out.Header, claimsTrace, false)
	}
}

// TrustsTrace says whether the trace that a request names is taken for its own.
func (p *Proxy) TrustsTrace(r *http.Request) bool { return p.settings.Load().trustsTrace(r) }

func (s *settings) trustsTrace(r *http.Request) bool { return s.trustTraces || s.trusted.Trusts(r) }

// check refuses a switch of protocols that the client did not ask for, or that
// is not an answer to its request: a WebSocket client would end the connection
// (RFC 6455 section 4.1). ReverseProxy closes what it refuses.
func (p *Proxy) check(resp *http.Response) error {
	if resp.StatusCode == http.StatusUpgradeRequired && resp.Request.ProtoMajor == 1 {
		// Which must say to what (RFC 9110 section 15.5.22); what the backend said was for this hop.
		resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{webSocket}
	}
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

// fail answers for a backend that did not, or for a client that said too little.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := w.(*exchange)
	f := classify(r.Context(), err, x.body.failed())
	if f.ofBackend() {
		p.failures.log(r, p.target.String(), f, err)
	}
	switch {
	case x.hijacked:
	case f.status == http.StatusBadRequest:
		rf := refusal{reason: refusedBody, status: f.status, text: "the body is malformed"}
		p.metrics.refused[rf.reason].Add(1)
		rf.answer(w, true)
	default:
		http.Error(w, fmt.Sprintf("%d %s", f.status, f.text()), f.status)
	}
}

// serverLog is for what net/http has to say of a connection.
func (p *Proxy) serverLog() *log.Logger {
	return slog.NewLogLogger(p.cfg.Logger.Handler(), slog.LevelDebug)
}
