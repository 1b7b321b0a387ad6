package otlp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func newMetricExporter(ctx context.Context, protocol string) (sdkmetric.Exporter, error) {
	if protocol == protocolGRPC {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

// pushReader exports at an interval, as the SDK's PeriodicReader does, with
// three differences that matter to a process that must go on: where a callback
// fails the rest is exported, where one panics the process lives, and Shutdown
// keeps its deadline where one never returns.
type pushReader struct {
	*sdkmetric.ManualReader
	exporter sdkmetric.Exporter
	producer sdkmetric.Producer // or nil
	interval time.Duration
	timeout  time.Duration
	stats    *stats
	errs     otel.ErrorHandler

	ctx      context.Context // of the exports at the interval
	cancel   context.CancelFunc
	flush    chan request
	stop     chan request
	done     chan struct{}
	stopOnce sync.Once
}

type request struct {
	ctx    context.Context
	result chan error // of capacity 1
}

func newRequest(ctx context.Context) request { return request{ctx, make(chan error, 1)} }

func newPushReader(e sdkmetric.Exporter, p sdkmetric.Producer, s settings, stats *stats, errs otel.ErrorHandler) *pushReader {
	r := &pushReader{
		ManualReader: sdkmetric.NewManualReader(
			sdkmetric.WithTemporalitySelector(e.Temporality),
			sdkmetric.WithAggregationSelector(e.Aggregation),
		),
		exporter: e,
		producer: p,
		interval: s.interval,
		timeout:  s.timeout,
		stats:    stats,
		errs:     errs,
		flush:    make(chan request),
		stop:     make(chan request, 1),
		done:     make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	go r.run()
	return r
}

func (r *pushReader) run() {
	defer close(r.done)
	ticker := time.NewTicker(r.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := r.push(r.ctx); err != nil {
				r.errs.Handle(err)
			}
		case f := <-r.flush:
			f.result <- r.push(f.ctx)
		case s := <-r.stop:
			s.result <- r.end(s.ctx)
			return
		}
	}
}

// end pushes for the last time.
func (r *pushReader) end(ctx context.Context) error {
	err := r.push(ctx)
	if errors.Is(err, sdkmetric.ErrReaderNotRegistered) {
		err = nil
	}
	return errors.Join(err, r.ManualReader.Shutdown(ctx), r.exporter.Shutdown(ctx))
}

func (r *pushReader) push(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("failed to collect metrics to export: panic: %v", p)
		}
		r.stats.metricExports.Inc()
		if err != nil {
			r.stats.metricExportsFailed.Inc()
		}
	}()
	var data metricdata.ResourceMetrics
	if err := r.Collect(ctx, &data); err != nil {
		err = fmt.Errorf("failed to collect all metrics to export: %w", err)
		if len(data.ScopeMetrics) == 0 {
			return err
		}
		r.errs.Handle(err)
	}
	if err := r.exporter.Export(ctx, &data); err != nil {
		return fmt.Errorf("failed to export metrics: %w", err)
	}
	return nil
}

// Collect gathers what can be had, together with the error of what cannot.
func (r *pushReader) Collect(ctx context.Context, data *metricdata.ResourceMetrics) error {
	err := r.ManualReader.Collect(ctx, data)
	if errors.Is(err, sdkmetric.ErrReaderShutdown) || errors.Is(err, sdkmetric.ErrReaderNotRegistered) || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	if r.producer != nil {
		scopes, failure := r.producer.Produce(ctx)
		data.ScopeMetrics = append(data.ScopeMetrics, scopes...)
		err = errors.Join(err, failure)
	}
	return err
}

// ForceFlush pushes now.
func (r *pushReader) ForceFlush(ctx context.Context) error {
	f := newRequest(ctx)
	select {
	case r.flush <- f:
	case <-r.done:
		return sdkmetric.ErrReaderShutdown
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-f.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown pushes for the last time. An export that is under way has half of
// the time to end.
func (r *pushReader) Shutdown(ctx context.Context) error {
	err := sdkmetric.ErrReaderShutdown
	r.stopOnce.Do(func() { err = r.shutdown(ctx) })
	return err
}

func (r *pushReader) shutdown(ctx context.Context) error {
	half, cancel := share(ctx, 2)
	defer cancel()
	defer context.AfterFunc(half, r.cancel)()
	defer r.cancel()

	s := newRequest(ctx)
	r.stop <- s
	select {
	case err := <-s.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
