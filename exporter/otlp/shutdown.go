package otlp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Shutdowner is implemented by [Exporter], by exporter.Exporter, and by the SDK's providers.
type Shutdowner interface {
	Shutdown(context.Context) error
}

// Shutdown shuts parts down one after the other, and returns their errors. Put spans first and
// metrics last, so that the metrics show everything. Stop everything that records before you call
// Shutdown.
//
//	otlp.Shutdown(ctx, push, exp)
//
// Parts share the time until ctx's deadline: with n parts to go, the next one gets an n-th of the
// remaining time. Thus a backend that is down takes no time from the parts after it, and they get
// the time that earlier parts did not need. Shutdown calls every part, even if ctx is done.
func Shutdown(ctx context.Context, parts ...Shutdowner) error {
	var errs []error
	for i, part := range parts {
		own, cancel := share(ctx, len(parts)-i)
		errs = append(errs, part.Shutdown(own))
		cancel()
	}
	return errors.Join(errs...)
}

// share returns a context with an n-th of ctx's remaining time.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || n < 2 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// Shutdown exports the remaining spans and shuts the TracerProvider down, within ctx. Spans that it
// cannot export in time are dropped and counted. No goroutine continues afterwards. Later calls do
// nothing and return the error of the first call.
//
// The reader of [Exporter.MetricReader] belongs to its MeterProvider, which shuts it down. The
// function [Shutdown] does both in order.
func (e *Exporter) Shutdown(ctx context.Context) error {
	e.shutdownOnce.Do(func() { e.shutdownErr = e.shutdown(ctx) })
	return e.shutdownErr
}

func (e *Exporter) shutdown(ctx context.Context) error {
	var err error
	if e.spans != nil {
		err = e.tracerProvider.Shutdown(ctx)
		if ctx.Err() != nil {
			// If ctx is done, the TracerProvider does not even begin.
			err = errors.Join(err, e.spans.Shutdown(ctx))
		}
	}
	if e.metrics != nil && !e.readerTaken.Swap(true) {
		err = errors.Join(err, e.metrics.Shutdown(ctx))
	}
	if err != nil {
		return fmt.Errorf("failed to export all data at shutdown: %w", err)
	}
	return nil
}
