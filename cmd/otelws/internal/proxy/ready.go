package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// probeEvery is how long the result of a probe stays valid.
	probeEvery = time.Second
	// probeTimeout is shorter than the usual timeout of a readiness probe, 1 s.
	probeTimeout = 900 * time.Millisecond
)

// probe is the result of the last attempt to reach the backend.
type probe struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// Ready returns nil if the proxy can serve requests: it does not drain, and the
// backend accepts connections, with TLS if the backend uses TLS.
func (p *Proxy) Ready(ctx context.Context) error {
	if p.draining.Load() {
		return errors.New("the proxy is draining its connections")
	}
	p.probe.mu.Lock()
	defer p.probe.mu.Unlock()
	if p.probe.at.IsZero() || time.Since(p.probe.at) >= probeEvery {
		// The result is shared, so it must not depend on the context of one caller.
		p.probe.err = p.reach(context.WithoutCancel(ctx))
		p.probe.at = time.Now()
	}
	return p.probe.err
}

func (p *Proxy) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dial := p.target.dial
	if p.target.tls.Load() != nil {
		dial = p.target.dialTLS
	}
	c, err := dial(ctx, probeTimeout)
	if err != nil {
		return fmt.Errorf("the backend %s cannot be reached: %w", p.target, err)
	}
	_ = c.Close()
	return nil
}

// ReadyHandler returns a handler that answers 200 if the proxy is ready, and 503 with
// the reason if not.
func (p *Proxy) ReadyHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.Ready(r.Context()); err != nil {
			http.Error(w, "Not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("Ready.\n"))
	})
}
