package otelws

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
)

// DrainProgress is the progress of a drain. Closed and Cut are counts since the call of Drain.
type DrainProgress struct {
	Open   int // connections that are still open
	Closed int // connections that the drain asked to close, and that have ended without being cut
	Cut    int // connections whose transport the drain has closed at its deadline
}

// progressReports are the calls of the function of OnDrainProgress.
type progressReports struct {
	f        func(DrainProgress) // nil without OnDrainProgress
	last     DrainProgress       // the latest progress that f got
	returned chan struct{}       // closed when that call has returned
}

func newProgressReports(f func(DrainProgress)) progressReports {
	r := progressReports{f: f, returned: make(chan struct{})}
	close(r.returned)
	return r
}

// begin calls f if the progress has changed, unless a call is still in progress.
func (r *progressReports) begin(now DrainProgress) {
	if r.f == nil || now == r.last {
		return
	}
	select {
	case <-r.returned:
	default:
		return
	}
	returned := make(chan struct{})
	r.last, r.returned = now, returned
	go func() {
		defer close(returned)
		defer func() {
			if v := recover(); v != nil {
				otel.Handle(fmt.Errorf("otelws: the function of OnDrainProgress panicked: %v", v))
			}
		}()
		r.f(now)
	}()
}

// end makes the last call, and waits for it, but not longer than limit.
func (r *progressReports) end(now DrainProgress, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r.wait(ctx)
	r.begin(now)
	r.wait(ctx)
}

// wait waits until no call is in progress, or ctx is done.
func (r *progressReports) wait(ctx context.Context) {
	select {
	case <-r.returned:
	case <-ctx.Done():
	}
}
