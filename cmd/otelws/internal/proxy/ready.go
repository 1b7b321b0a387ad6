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
	// probeEvery is for how long the result of a probe stands.
	probeEvery = time.Second
	// probeTimeout is below what those who ask wait as a rule.
	probeTimeout = 900 * time.Millisecond
)

// probe is the last look at the backend.
type probe struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// Ready returns nil where a request would be served: the proxy does not drain,
// and the backend takes connections, with TLS where it has it.
func (p *Proxy) Ready(ctx context.Context) error {
	if p.draining.Load() {
		return errors.New("draining")
	}
	p.probe.mu.Lock()
	defer p.probe.mu.Unlock()
	if p.probe.at.IsZero() || time.Since(p.probe.at) >= probeEvery {
		// Not for the one who asks alone.
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

// ReadyHandler answers 200 where the proxy is ready, and 503 with the reason
// where it is not.
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
