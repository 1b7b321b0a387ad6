package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/otelws/otelws-go/otelws"
)

const (
	idleTimeout = 2 * time.Minute

	// cutTime is how long connections may take to end after the proxy has cut them
	// off.
	cutTime = 5 * time.Second

	// lastAnswers is how long the proxy then waits until requests are answered with 503,
	// before it closes their connections.
	lastAnswers = 500 * time.Millisecond
)

// Serve accepts connections on l until ctx is done, and closes l. Then it lets
// requests end and drains the WebSockets as the instrumentation's [otelws.WithDrain]
// and Config.Drain say. After the drain timeout it cuts off the rest. It returns nil
// after a drain, and an error if serving failed.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(errCut)
	limits := p.settings.Load().limits
	srv := &http.Server{
		Handler:           p,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          p.serverLog(),
		ReadHeaderTimeout: limits.HandshakeTime,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    limits.HeaderBytes,

		// net/http would answer OPTIONS * itself, and the limit on the time for a handshake
		// would not count it as a request.
		DisableGeneralOptionsHandler: true,
	}
	listener := newClientListener(p, l)
	listener.follow(srv)
	served := make(chan error, 1)
	go func() {
		if p.cert == nil {
			served <- srv.Serve(listener)
			return
		}
		srv.TLSConfig = p.cert.config()
		served <- srv.ServeTLS(listener, "", "")
	}()
	var failure error
	select {
	case err := <-served:
		failure = fmt.Errorf("failed to serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	p.drain(srv, cut)
	return failure
}

func (p *Proxy) drain(srv *http.Server, cut context.CancelCauseFunc) {
	p.draining.Store(true)
	defer p.transport.CloseIdleConnections()
	s := p.settings.Load()
	p.cfg.Logger.Info("draining", "connections", p.active.connections(), "timeout", s.drainTimeout)

	grace, cancel := context.WithTimeout(context.Background(), s.drainTimeout)
	defer cancel()
	drained := make(chan error, 1)
	var progress otelws.DrainProgress
	opts := append(slices.Clip(s.drain), otelws.OnDrainProgress(func(p otelws.DrainProgress) { progress = p }))
	go func() { drained <- p.cfg.WebSockets.Drain(grace, opts...) }()
	// Shutdown waits for requests only: it does not know the hijacked connections.
	_ = srv.Shutdown(grace)
	if err := <-drained; err != nil {
		p.cfg.Logger.Warn("the drain timeout cut off WebSockets", "err", err)
	}
	defer func() {
		p.cfg.Logger.Info("drained the WebSockets of clients and to the backend", "closed", progress.Closed, "cut", progress.Cut)
	}()
	if p.active.wait(grace) {
		return
	}
	p.active.cut()
	cut(errCut)
	answers, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	p.active.wait(answers)
	_ = srv.Close()
	last, cancel := context.WithTimeout(context.Background(), cutTime)
	defer cancel()
	p.active.wait(last)
}

// active holds the requests in progress and the open tunnels.
type active struct {
	mu      sync.Mutex
	n       int
	tunnels map[*tunnel]struct{}
	cutting bool
}

func (a *active) enter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n++
}

func (a *active) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n--
}

func (a *active) add(t *tunnel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tunnels == nil {
		a.tunnels = make(map[*tunnel]struct{})
	}
	a.tunnels[t] = struct{}{}
	if a.cutting {
		go t.cut()
	}
}

func (a *active) remove(t *tunnel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tunnels, t)
}

func (a *active) connections() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.tunnels)
}

// cut ends all tunnels, including those that start later.
func (a *active) cut() {
	a.mu.Lock()
	a.cutting = true
	all := make([]*tunnel, 0, len(a.tunnels))
	for t := range a.tunnels {
		all = append(all, t)
	}
	a.mu.Unlock()
	for _, t := range all {
		t.cut()
	}
}

// wait waits until nothing is active. It returns false if ctx was done before. It
// polls, as [http.Server.Shutdown] does.
func (a *active) wait(ctx context.Context) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		a.mu.Lock()
		idle := a.n == 0
		a.mu.Unlock()
		if idle {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
