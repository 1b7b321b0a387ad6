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
)

// Exporter owns a TracerProvider whose spans go out by OTLP, and what a reader of metrics needs to do
// the same. Its methods are safe for concurrent use. No global of OpenTelemetry is touched.
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

// New returns an Exporter as the environment asks for it, see the package documentation. It waits for no
// backend: one that is unreachable shows in the log and in the counters. ctx is for the call alone. An
// error names in one line the variable that is wrong; nothing has then been started.
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

// newResource lays res over that of the environment, which the SDK would take
// without what is malformed in it.
func newResource(ctx context.Context, res *resource.Resource) (*resource.Resource, error) {
	if _, err := resource.New(ctx, resource.WithFromEnv()); err != nil {
		return nil, fmt.Errorf("invalid OTEL_RESOURCE_ATTRIBUTES: use name=value, with %%-escapes in the value, and commas between: %w", err)
	}
	merged, err := resource.Merge(resource.Default(), res)
	// The merge is whole without its schema URL.
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, fmt.Errorf("failed to merge the resource: %w", err)
	}
	return merged, nil
}

// TracerProvider returns the provider whose spans are exported, a no-op one where the environment asks
// for no traces. It belongs to the Exporter; end it with [Exporter.Shutdown].
func (e *Exporter) TracerProvider() trace.TracerProvider {
	if e.tracerProvider == nil {
		return noop.NewTracerProvider()
	}
	return e.tracerProvider
}

// Propagator returns what OTEL_PROPAGATORS names, W3C Trace Context and Baggage unless set. It is there
// without traces, too.
func (e *Exporter) Propagator() propagation.TextMapPropagator { return e.settings.propagator }

// Resource returns what describes the process in all signals.
func (e *Exporter) Resource() *resource.Resource { return e.resource }

// TracesEnabled reports whether spans are exported.
func (e *Exporter) TracesEnabled() bool { return e.settings.traces != "" }

// MetricsEnabled reports whether metrics are pushed.
func (e *Exporter) MetricsEnabled() bool { return e.settings.metrics != "" }

// ExporterOptions are for exporter.New: the resource, the reader that pushes, and counters of what was
// exported and lost. Of these, the environment decides which are there. They are good for one call.
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

// MetricReader returns a reader that pushes, for exporter.WithReader, or with nil for a MeterProvider
// of the SDK, which shuts it down. There is one at most; without metrics to push it is an error.
func (e *Exporter) MetricReader(producer exporter.ProducerFunc) (sdkmetric.Reader, error) {
	if !e.MetricsEnabled() {
		return nil, errors.New("no metrics to push: set OTEL_METRICS_EXPORTER to otlp, or an endpoint")
	}
	if e.readerTaken.Swap(true) {
		return nil, errors.New("the reader of metrics is in use or shut down: make one Exporter for each")
	}
	var p sdkmetric.Producer
	if producer != nil {
		p = producer(e.metrics.Temporality)
	}
	return newPushReader(e.metrics, p, e.settings, e.stats, exporter.ErrorHandler(e.cfg.logger)), nil
}
