package otlp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/internal/identity"
)

// Exporter owns a TracerProvider whose spans are exported by OTLP, and the exporter for a reader
// that pushes metrics. Its methods are safe for concurrent use. It does not touch OpenTelemetry's
// globals.
type Exporter struct {
	cfg      config
	settings settings
	resource *resource.Resource
	stats    *stats

	tracerProvider *sdktrace.TracerProvider // nil without traces
	spans          *spanQueue               // nil without traces
	metrics        sdkmetric.Exporter       // nil without metrics
	readerTaken    atomic.Bool

	shutdownOnce sync.Once
	shutdownErr  error
}

// New returns an Exporter that is configured by the environment; see the package documentation. It
// does not wait for the backend: if the backend is unreachable, the log and the counters show it.
// ctx applies only to this call.
//
// If a variable is invalid, New starts nothing and returns an error of one line that names the
// variable.
func New(ctx context.Context, opts ...Option) (*Exporter, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	s, err := readEnvironment(cfg)
	if err != nil {
		return nil, err
	}
	e := &Exporter{cfg: cfg, settings: s, stats: newStats()}
	if e.resource, err = newResource(ctx, cfg.resource); err != nil {
		return nil, err
	}
	if s.metrics != "" {
		if e.metrics, err = newMetricExporter(ctx, s.metrics); err != nil {
			return nil, fmt.Errorf("failed to make the exporter of metrics: %w", err)
		}
	}
	if s.traces != "" {
		if err := e.startTraces(ctx); err != nil {
			return nil, errors.Join(err, e.Shutdown(ctx))
		}
	}
	return e, nil
}

func (e *Exporter) startTraces(ctx context.Context) error {
	spans, err := newSpanExporter(ctx, e.settings.traces)
	if err != nil {
		return fmt.Errorf("failed to make the exporter of traces: %w", err)
	}
	e.spans = newSpanQueue(spans, e.settings, e.stats, exporter.ErrorHandler(e.cfg.logger))
	e.tracerProvider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(e.resource),
		sdktrace.WithSampler(e.settings.sampler),
		sdktrace.WithSpanProcessor(e.spans),
	)
	return nil
}

// newResource merges res over the resource of the environment. It checks the environment first,
// because the SDK would ignore malformed parts of it.
func newResource(ctx context.Context, res *resource.Resource) (*resource.Resource, error) {
	_, err := resource.New(ctx, resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("invalid OTEL_RESOURCE_ATTRIBUTES: use name=value pairs, separated by commas, with %%-escapes in the values: %w", err)
	}
	if res, err = identity.Resource(res); err != nil {
		return nil, err
	}
	return validResource(res), nil
}

// TracerProvider returns the provider whose spans are exported. If traces are not exported, it is a
// no-op provider. The Exporter owns it: call [Exporter.Shutdown] to shut it down.
func (e *Exporter) TracerProvider() trace.TracerProvider {
	if e.tracerProvider == nil {
		return noop.NewTracerProvider()
	}
	return e.tracerProvider
}

// Propagator returns the propagators that OTEL_PROPAGATORS names. The default is W3C Trace Context
// and Baggage. It does not depend on whether traces are exported.
func (e *Exporter) Propagator() propagation.TextMapPropagator { return e.settings.propagator }

// Resource returns the resource that describes the process in all signals.
func (e *Exporter) Resource() *resource.Resource { return e.resource }

// TracesEnabled reports whether spans are exported.
func (e *Exporter) TracesEnabled() bool { return e.settings.traces != "" }

// MetricsEnabled reports whether metrics are pushed.
func (e *Exporter) MetricsEnabled() bool { return e.settings.metrics != "" }

// ExporterOptions returns options for exporter.New: the resource, counters of exported and lost
// data, and, if metrics are pushed, the reader that pushes them. The options are good for one call
// of exporter.New.
func (e *Exporter) ExporterOptions() []exporter.Option {
	opts := []exporter.Option{
		exporter.WithResource(e.resource),
		exporter.WithCollector(e.stats.collectors(e.TracesEnabled(), e.MetricsEnabled())...),
	}
	if e.MetricsEnabled() {
		opts = append(opts, exporter.WithReader(e.MetricReader))
	}
	return opts
}

// MetricReader returns the reader that pushes metrics. It is a ReaderFunc for exporter.WithReader.
// For a MeterProvider of the SDK, call it with nil. The MeterProvider owns the reader and shuts it
// down. MetricReader returns an error if metrics are not pushed, or if it was called before.
func (e *Exporter) MetricReader(producer exporter.ProducerFunc) (sdkmetric.Reader, error) {
	if !e.MetricsEnabled() {
		return nil, errors.New("metrics are not pushed: set OTEL_METRICS_EXPORTER=otlp or an endpoint")
	}
	if e.readerTaken.Swap(true) {
		return nil, errors.New("the metric reader is already in use or shut down: make a second Exporter for a second reader")
	}
	var p sdkmetric.Producer
	if producer != nil {
		p = producer(e.metrics.Temporality)
	}
	return newPushReader(e.metrics, p, e.settings, e.stats, e.cfg.logger), nil
}
