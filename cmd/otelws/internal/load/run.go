package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// slowBuffer is the receive buffer of slow readers. It is small, so that the server has to wait. It
// is not smaller than a segment on loopback (64 KiB), because TCP itself would then be slow.
const slowBuffer = 64 << 10

// retry is the pause after a failed handshake, in a run that replaces
// connections.
const retry = time.Second

// runner is the state of a run, which all connections share.
type runner struct {
	cfg    Config
	text   []byte
	start  time.Time
	budget atomic.Int64 // messages left, if Messages is a limit

	transport, slowTransport *http.Transport

	sessions, opened, refused, active   atomic.Int64
	dropped, compressed                 atomic.Int64
	sent, sentBytes                     atomic.Int64
	received, receivedBytes, unanswered atomic.Int64
	pings                               atomic.Int64

	handshakes, rtt, heartbeats *recorder
	errors, codes               errorCounts
}

// Snapshot is the progress of a run.
type Snapshot struct {
	Elapsed        time.Duration
	Share          float64 // completed share of the run, from 0 to 1
	Active         int64
	Sent, Received int64
	Errors         int64
}

// Run runs until cfg or ctx ends the run, and returns the result. It returns an error if there is no
// result, because no handshake succeeded or the metrics cannot be read.
//
// During the run, it calls report on another goroutine, with a function that returns the progress.
// report must return when its context is done. It may be nil.
func Run(ctx context.Context, cfg Config, report func(context.Context, func() Snapshot)) (*Result, error) {
	var v *verifier
	if cfg.Verify != "" {
		var err error
		if v, err = newVerifier(ctx, &cfg); err != nil {
			return nil, fmt.Errorf("--verify %w", err)
		}
	}
	r := &runner{
		cfg: cfg, text: newText(cfg.Sizes.max()),
		transport: newTransport(&cfg, 0), slowTransport: newTransport(&cfg, slowBuffer),
		handshakes: newRecorder(), rtt: newRecorder(), heartbeats: newRecorder(),
		start: time.Now(),
	}
	r.budget.Store(cfg.Messages)

	reporting, reported := context.WithCancel(context.Background())
	var reporter sync.WaitGroup
	if report != nil {
		reporter.Go(func() { report(reporting, r.snapshot) })
	}
	r.run(ctx)
	took := time.Since(r.start)
	reported()
	reporter.Wait()

	result := r.result(took)
	result.Interrupted = ctx.Err() != nil
	if result.Connections.Opened == 0 {
		return nil, r.nothing(ctx)
	}
	if v != nil {
		// An interrupted run is verified too.
		result.Verification = v.verify(context.WithoutCancel(ctx), result)
	}
	return result, nil
}

func (r *runner) nothing(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: interrupted before a handshake succeeded", r.cfg.URL)
	}
	var all dial.Failures
	for _, e := range r.errors.sorted() {
		all.Add(e.Kind, e.Count, e.first)
	}
	return fmt.Errorf("%s: none of %d handshakes succeeded: %s", r.cfg.URL, r.refused.Load(), dial.Advise(all.String()))
}

// run opens all connections, and waits until they have ended.
func (r *runner) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.cfg.Duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, r.cfg.Duration)
		defer cancel()
	}
	var all sync.WaitGroup
	for n := range r.cfg.Connections {
		if n > 0 {
			pause(ctx, time.Until(r.start.Add(r.cfg.Ramp*time.Duration(n)/time.Duration(r.cfg.Connections))))
		}
		if ctx.Err() != nil || r.spent() {
			break
		}
		all.Go(func() { r.place(ctx) })
	}
	all.Wait()
}

// place keeps one connection open. With a lifetime, it opens one connection after the other.
func (r *runner) place(ctx context.Context) {
	for ctx.Err() == nil && !r.spent() {
		s := r.open()
		switch {
		case s != nil:
			r.visit(ctx, s)
		case r.cfg.Lifetime > 0:
			pause(ctx, retry)
		}
		if r.cfg.Lifetime == 0 {
			return
		}
	}
}

func (r *runner) visit(ctx context.Context, s *session) {
	if r.cfg.Lifetime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.cfg.Lifetime)
		defer cancel()
	}
	s.live(ctx)
}

// take takes a message from the budget. It returns false if the budget is used up.
func (r *runner) take() bool { return r.cfg.Messages == 0 || r.budget.Add(-1) >= 0 }

func (r *runner) spent() bool { return r.cfg.Messages > 0 && r.budget.Load() <= 0 }

func (r *runner) snapshot() Snapshot {
	s := Snapshot{
		Elapsed: time.Since(r.start), Active: r.active.Load(),
		Sent: r.sent.Load(), Received: r.received.Load(), Errors: r.errors.count(),
	}
	if r.cfg.Duration > 0 {
		s.Share = s.Elapsed.Seconds() / r.cfg.Duration.Seconds()
	}
	if r.cfg.Messages > 0 {
		s.Share = max(s.Share, float64(s.Sent)/float64(r.cfg.Messages))
	}
	s.Share = min(s.Share, 1)
	return s
}

func newTransport(cfg *Config, receiveBuffer int) *http.Transport {
	return dial.Transport(cfg.TLS, func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok && receiveBuffer > 0 {
			_ = tcp.SetReadBuffer(receiveBuffer)
		}
		return c, err
	})
}
