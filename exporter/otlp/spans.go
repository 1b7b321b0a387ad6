package otlp

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func newSpanExporter(ctx context.Context, protocol string) (sdktrace.SpanExporter, error) {
	if protocol == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

// spanQueue is the SDK's batch processor behind a limit of its own, so that it can count the spans
// that it drops. The SDK counts them only with an experimental switch.
type spanQueue struct {
	sdktrace.SpanProcessor
	exporter sdktrace.SpanExporter
	stats    *stats
	size     int64
	held     atomic.Int64 // ended and not yet exported, at most size
}

func newSpanQueue(e sdktrace.SpanExporter, s settings, stats *stats, errs otel.ErrorHandler) *spanQueue {
	q := &spanQueue{exporter: e, stats: stats, size: int64(s.queueSize)}
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(countingExporter{e, q, errs, portAdvice("TRACES", s.traces)},
		sdktrace.WithMaxQueueSize(s.queueSize), sdktrace.WithMaxExportBatchSize(s.batch))
	return q
}

// OnEnd never blocks. It drops the span if the queue is full.
func (q *spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.held.Add(1) > q.size {
		q.held.Add(-1)
		q.stats.spansDropped.Inc()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// Shutdown exports the spans in the queue. At the deadline it also shuts the exporter down, because
// the SDK's processor would continue for half a minute with each batch.
func (q *spanQueue) Shutdown(ctx context.Context) error {
	err := q.SpanProcessor.Shutdown(ctx)
	if ctx.Err() != nil {
		_ = q.exporter.Shutdown(ctx)
	}
	return err
}

// countingExporter counts exported spans. It reports failures to its own error handler, because the
// SDK's error handler is global and has no rate limit.
type countingExporter struct {
	sdktrace.SpanExporter
	queue  *spanQueue
	errs   otel.ErrorHandler
	advice string // for failures
}

func (e countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	valid := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		valid[i] = validSpan{s}
	}
	err := e.SpanExporter.ExportSpans(ctx, valid)
	n := len(spans)
	e.queue.held.Add(int64(-n))
	if err != nil {
		e.queue.stats.spansFailed.Add(float64(n))
		e.errs.Handle(failed(fmt.Sprintf("%d spans", n), err, e.advice))
		return nil
	}
	e.queue.stats.spansExported.Add(float64(n))
	return nil
}
