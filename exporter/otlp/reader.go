package otlp

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/internal/identity"
	"github.com/otelws/otelws-go/exporter/internal/points"
)

func newMetricExporter(ctx context.Context, protocol string) (sdkmetric.Exporter, error) {
	if protocol == protocolGRPC {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

// pushReader is the SDK's PeriodicReader with another Shutdown. The SDK's Shutdown waits forever
// for a callback that never returns. It also cancels an export in progress, whose deltas would be
// lost.
type pushReader struct {
	*sdkmetric.PeriodicReader
	exporter *metricExporter
}

func newPushReader(e sdkmetric.Exporter, p sdkmetric.Producer, s settings, stats *stats, logger *slog.Logger) *pushReader {
	exp := &metricExporter{
		Exporter:  e,
		stats:     stats,
		advice:    portAdvice("METRICS", s.metrics),
		errs:      exporter.ErrorHandler(logger),
		overflows: points.OverflowLog{Logger: logger},
		busy:      make(chan struct{}, 1),
	}
	opts := []sdkmetric.PeriodicReaderOption{sdkmetric.WithInterval(s.interval), sdkmetric.WithTimeout(s.timeout)}
	if p != nil {
		opts = append(opts, sdkmetric.WithProducer(p))
	}
	return &pushReader{sdkmetric.NewPeriodicReader(exp, opts...), exp}
}

// ForceFlush exports now.
func (r *pushReader) ForceFlush(ctx context.Context) error {
	defer r.exporter.waitedFor()()
	return r.PeriodicReader.ForceFlush(ctx)
}

// Shutdown exports a last time. It first waits for an export in progress, for at most half of its
// time.
func (r *pushReader) Shutdown(ctx context.Context) error {
	defer r.exporter.waitedFor()()
	half, cancel := share(ctx, 2)
	defer cancel()
	r.exporter.await(half)

	ended := make(chan error, 1)
	go func() { ended <- r.PeriodicReader.Shutdown(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// metricExporter counts exports. It reports failures to its own error handler if nobody waits for
// the result, because the SDK's error handler is global and has no rate limit.
type metricExporter struct {
	sdkmetric.Exporter
	stats     *stats
	errs      otel.ErrorHandler
	overflows points.OverflowLog
	advice    string        // for failures
	waiting   atomic.Int32  // calls of ForceFlush and Shutdown in progress
	busy      chan struct{} // full while an export is in progress
}

// waitedFor makes Export return its failures until done is called.
func (e *metricExporter) waitedFor() (done func()) {
	e.waiting.Add(1)
	return func() { e.waiting.Add(-1) }
}

// await returns when no export is in progress, or ctx is done.
func (e *metricExporter) await(ctx context.Context) {
	select {
	case e.busy <- struct{}{}:
		<-e.busy
	case <-ctx.Done():
	}
}

// Export implements sdkmetric.Exporter. It adds the service.instance.id of the process if the
// resource of the MeterProvider has none.
func (e *metricExporter) Export(ctx context.Context, data *metricdata.ResourceMetrics) error {
	e.busy <- struct{}{}
	defer func() { <-e.busy }()
	e.overflows.Check(data.ScopeMetrics)
	makeValid(data)
	identified := *data
	identified.Resource = validResource(identity.WithInstance(data.Resource))
	err := e.Exporter.Export(ctx, &identified)
	e.stats.metricExports.Inc()
	if err == nil {
		return nil
	}
	e.stats.metricExportsFailed.Inc()
	err = failed("metrics", err, e.advice)
	if e.waiting.Load() > 0 {
		return err
	}
	e.errs.Handle(err)
	return nil
}
