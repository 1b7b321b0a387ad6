package tracing_test

import (
	"context"
	"errors"
	"log"
	"net"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/otelws/otelws-go/tracing"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// panicking implements the types that an application may pass in. Its methods panic.
type panicking struct {
	sdktrace.Sampler
	sdktrace.SpanProcessor
}

func (panicking) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult { panic("no") }

// endPanics is a span processor that panics at the end of a span.
type endPanics struct{ sdktrace.SpanProcessor }

func (endPanics) OnEnd(sdktrace.ReadOnlySpan) { panic("no") }

// tracerFunc is a provider and its tracer.
type tracerFunc struct {
	embedded.TracerProvider
	start func(ctx context.Context) (context.Context, trace.Span)
}

func (t tracerFunc) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return tracerOnly{start: t.start}
}

type tracerOnly struct {
	embedded.Tracer
	start func(ctx context.Context) (context.Context, trace.Span)
}

func (t tracerOnly) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.start(ctx)
}

// nilSpan is a recording span whose other methods panic.
type nilSpan struct{ trace.Span }

func (nilSpan) IsRecording() bool              { return true }
func (nilSpan) SpanContext() trace.SpanContext { return trace.SpanContext{} }

// recordPanics is a MeterProvider whose histograms panic.
type recordPanics struct{ metricnoop.MeterProvider }
type panickingMeter struct{ metricnoop.Meter }
type panickingHistogram struct{ metricnoop.Float64Histogram }

func (recordPanics) Meter(string, ...metric.MeterOption) metric.Meter { return panickingMeter{} }
func (panickingMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return panickingHistogram{}, nil
}
func (panickingHistogram) Record(context.Context, float64, ...metric.RecordOption) { panic("no") }

// If a provider of the application panics, the message is sent and handled as usual, and the panic is
// reported.
func TestProviderPanics(t *testing.T) {
	for name, tt := range map[string]struct {
		tracers trace.TracerProvider
		meters  metric.MeterProvider
	}{
		"sampler":       {tracers: sdktrace.NewTracerProvider(sdktrace.WithSampler(panicking{}))},
		"OnStart":       {tracers: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(panicking{}))},
		"OnEnd":         {tracers: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(endPanics{tracetest.NewSpanRecorder()}))},
		"Start":         {tracers: tracerFunc{start: func(context.Context) (context.Context, trace.Span) { panic("no") }}},
		"no span":       {tracers: tracerFunc{start: func(ctx context.Context) (context.Context, trace.Span) { return ctx, nil }}},
		"span":          {tracers: tracerFunc{start: func(ctx context.Context) (context.Context, trace.Span) { return ctx, nilSpan{} }}},
		"a measurement": {meters: recordPanics{}},
	} {
		t.Run(name, func(t *testing.T) {
			reported := 0
			otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { reported++ }))
			defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Print(err) }))

			opts := []tracing.Option{tracing.WithSampling(), tracing.WithMessageKinds(messagekind.JSONMember("type"), "a")}
			if tt.tracers != nil {
				opts = append(opts, tracing.WithTracerProvider(tt.tracers))
			}
			if tt.meters == nil {
				tt.meters = metricnoop.NewMeterProvider()
			}
			s := newSetUp(t, append(opts, tracing.WithMeterProvider(tt.meters))...)
			server, client := s.pair(t, nil)
			const message = `{"type":"a"}`
			got, ctx := exchange(t, client, server, text, message)
			if got != message || ctx == nil {
				t.Errorf("the handler had %q", got)
			}
			if err := tracing.SetMessageKind(ctx, "a"); err != nil {
				t.Error(err)
			}
			if failed := s.Broadcast(t.Context(), text, []byte(message), []*tracing.Conn{server, client}, nil); len(failed) > 0 {
				t.Errorf("a broadcast failed: %v", failed)
			}
			if reported == 0 {
				t.Error("the panic was not reported")
			}
		})
	}
}

// An error whose methods panic, such as a nil pointer in an interface, costs the status of the span.
func TestErrorPanics(t *testing.T) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Print(err) }))
	s := newSetUp(t)
	m, err := s.Messages(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_, _, p := m.StartReceive(context.Background(), text, nil)
	p.End((*panickingError)(nil))
	if n := len(s.recorder.Ended()); n != 2 { // one is the handshake's
		t.Errorf("%d spans ended", n)
	}
}

type panickingError struct{ inner net.OpError }

func (e *panickingError) Error() string { return e.inner.Error() }

// New returns an error if a provider panics.
func TestNewPanics(t *testing.T) {
	for name, opt := range map[string]tracing.Option{
		"a nil TracerProvider": tracing.WithTracerProvider((*sdktrace.TracerProvider)(nil)),
		"Meter":                tracing.WithMeterProvider(noMeter{}),
	} {
		if in, err := tracing.New(opt); in != nil || err == nil || errors.Unwrap(err) != nil {
			t.Errorf("%s: got %v, %v", name, in, err)
		}
	}
}

type noMeter struct{ metricnoop.MeterProvider }

func (noMeter) Meter(string, ...metric.MeterOption) metric.Meter { panic("no") }
