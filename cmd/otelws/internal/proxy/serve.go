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

	// cutTime is how long what has been cut off may take to end.
	cutTime = 5 * time.Second
)

// Serve serves on l, which it closes, until ctx is done. It then accepts no
// more, lets requests end, and drains the WebSockets as the instrumentation is told
// to by its [otelws.WithDrain]. What is left after the drain timeout is cut off. It
// returns nil, or why serving failed.
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
	}
	door := newDoor(p, l)
	door.serve(srv)
	served := make(chan error, 1)
	go func() {
		if p.cert == nil {
			served <- srv.Serve(door)
			return
		}
		srv.TLSConfig = p.cert.config()
		served <- srv.ServeTLS(door, "", "")
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
	// The server has ended when its handlers have, which those of WebSockets
	// have not.
	_ = srv.Shutdown(grace)
	if err := <-drained; err != nil {
		p.cfg.Logger.Warn("cut off WebSockets", "err", err)
	}
	defer func() {
		p.cfg.Logger.Info("drained the WebSockets of clients and to the backend", "closed", progress.Closed, "cut", progress.Cut)
	}()
	if p.active.wait(grace) {
		return
	}
	p.active.cut()
	cut(errCut)
	_ = srv.Close()
	last, cancel := context.WithTimeout(context.Background(), cutTime)
	defer cancel()
	p.active.wait(last)
}

// active is what is under way: requests, and connections to the backend.
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

// cut ends all tunnels, and those to come.
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

// wait waits until nothing is under way, and says whether that came about
// before ctx was done. It asks now and then, as [http.Server.Shutdown] does.
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
