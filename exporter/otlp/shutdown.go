package otlp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Shutdowner is what [Shutdown] ends: an [Exporter], an exporter.Exporter, a provider of the SDK.
type Shutdowner interface {
	Shutdown(context.Context) error
}

// Shutdown shuts parts down one after the other, in the order given, and returns their errors. Each has
// a fair share of the time until ctx's deadline: with n parts to go an n-th of what is left. A backend
// that is down thus takes no time from the next, and what one does not need the next ones have. Every
// part is called, even if ctx is done.
//
// What records must have ended before. Spans go first and metrics last, so that the metrics see the end
// of everything:
//
//	otlp.Shutdown(ctx, push, exp)
func Shutdown(ctx context.Context, parts ...Shutdowner) error {
	var errs []error
	for i, part := range parts {
		own, cancel := share(ctx, len(parts)-i)
		errs = append(errs, part.Shutdown(own))
		cancel()
	}
	return errors.Join(errs...)
}

// share returns a context that has an n-th of the time that ctx has.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || n < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// Shutdown exports the spans that are left and ends the TracerProvider, within ctx: what does not get
// away is dropped and counted, and nothing goes on behind. The reader of [Exporter.MetricReader] is its
// MeterProvider's to shut down; see the function [Shutdown] for both. Later calls do nothing and return
// the first one's error.
func (e *Exporter) Shutdown(ctx context.Context) error {
	e.shutdownOnce.Do(func() { e.shutdownErr = e.shutdown(ctx) })
	return e.shutdownErr
}

func (e *Exporter) shutdown(ctx context.Context) error {
	var err error
	if e.spans != nil {
		err = e.tracerProvider.Shutdown(ctx)
		if ctx.Err() != nil {
			// The TracerProvider does not even begin when ctx is done.
			err = errors.Join(err, e.spans.Shutdown(ctx))
		}
	}
	if e.metrics != nil && !e.readerTaken.Swap(true) {
		err = errors.Join(err, e.metrics.Shutdown(ctx))
	}
	if err != nil {
		return fmt.Errorf("failed to export everything before the end: %w", err)
	}
	return nil
}
