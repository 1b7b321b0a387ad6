package probe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// runner is the state of a run. All connections share it.
type runner struct {
	cfg              Config
	start            time.Time
	quiet, keepAlive *http.Transport
	open, ended      atomic.Int64
}

// Snapshot is the progress of a run.
type Snapshot struct {
	Elapsed time.Duration
	Share   float64 // completed part of the run, from 0 to 1
	Open    int64   // connections
	Ended   int64
}

// Run opens all connections. It waits until each has reached its planned silence or
// age, or has ended, or ctx is done. Meanwhile it calls report, which may be nil,
// with a function that returns the progress. report must return when its context is
// done. Run returns an error if no handshake succeeded, or if the server ended every
// connection at once.
func Run(ctx context.Context, cfg Config, report func(context.Context, func() Snapshot)) (*Result, error) {
	r := &runner{cfg: cfg, start: time.Now()}
	// A TCP load balancer counts TCP keepalives as traffic, so the silent connections
	// send none.
	r.quiet = dial.Transport(cfg.TLS, (&net.Dialer{KeepAlive: -1}).DialContext)
	every := max(cfg.Every, time.Second)
	r.keepAlive = dial.Transport(cfg.TLS, (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: every, Interval: every}}).DialContext)

	reporting, reported := context.WithCancel(context.Background())
	var reporter, all sync.WaitGroup
	var late time.Duration
	reporter.Go(func() { late = lateness(reporting) })
	if report != nil {
		reporter.Go(func() { report(reporting, r.snapshot) })
	}
	plan := cfg.plan()
	outcomes := make([]Outcome, len(plan))
	for i, a := range plan {
		all.Go(func() {
			outcomes[i] = r.try(ctx, a)
			r.ended.Add(1)
		})
	}
	all.Wait()
	took := time.Since(r.start)
	reported()
	reporter.Wait()

	if !slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.End != Refused }) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: interrupted before a handshake succeeded", cfg.URL)
		}
		return nil, fmt.Errorf("%s: none of %d handshakes succeeded: %s", cfg.URL, len(plan), dial.Advise(refusals(outcomes)))
	}
	result := &Result{
		URL: cfg.URL, Max: cfg.Max.Seconds(), Every: cfg.Every.Seconds(), Interrupted: ctx.Err() != nil,
		Seconds: took.Seconds(), Late: late.Seconds(), Outcomes: outcomes, Limits: []*Limit{}, Notes: []string{},
	}
	if some := result.unwanted(); len(some) > 0 && len(some) == len(result.of(append(busy, Silent)...)) {
		return nil, fmt.Errorf("%s: the server ends every connection at once, %s: if it expects a header or a subprotocol, give them by --header and --subprotocol", cfg.URL, some[0].ending())
	}
	result.judge()
	return result, nil
}

// lateness returns the greatest lateness of a timer until ctx is done. On a machine
// that is too busy the measured times are useless.
func lateness(ctx context.Context) (late time.Duration) {
	const every = 20 * time.Millisecond
	for begun := time.Now(); pause(ctx, every, nil); begun = time.Now() {
		late = max(late, time.Since(begun)-every)
	}
	return late
}

func (r *runner) snapshot() Snapshot {
	s := Snapshot{Elapsed: time.Since(r.start), Open: r.open.Load(), Ended: r.ended.Load()}
	s.Share = min(s.Elapsed.Seconds()/r.cfg.Length().Seconds(), 1)
	return s
}

// refusals returns the kinds of handshake errors with their counts. It leaves out handshakes that
// Ctrl-C interrupted.
func refusals(outcomes []Outcome) string {
	var all dial.Failures
	for _, o := range outcomes {
		if o.End == Refused && o.Error != "" && !o.cut {
			all.Add(o.Error, 1, o.refusal)
		}
	}
	return all.String()
}
