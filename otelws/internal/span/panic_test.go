package span_test

import (
	"context"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/span"
)

// panicking implements the types that an application may pass in. Its methods panic.
type panicking struct {
	trace.TracerProvider
	sdktrace.Sampler
	sdktrace.SpanProcessor
}

func (panicking) Tracer(string, ...trace.TracerOption) trace.Tracer { panic("no") }
func (panicking) ShouldSample(sdktrace.SamplingParameters) sdktrace.SamplingResult {
	panic("no")
}
func (panicking) Extract(context.Context, propagation.TextMapCarrier) context.Context { panic("no") }
func (panicking) Inject(context.Context, propagation.TextMapCarrier)                  { panic("no") }
func (panicking) Fields() []string                                                    { return []string{"Traceparent"} }

// endPanics is a span processor that panics at the end of a span.
type endPanics struct{ sdktrace.SpanProcessor }

func (endPanics) OnEnd(sdktrace.ReadOnlySpan) { panic("no") }

// If the application's tracer, propagator or span processor panics, the span is lost, and the panic is
// reported.
func TestPanics(t *testing.T) {
	noSpans := trace.TracerProvider(nil)
	for name, tt := range map[string]struct {
		provider   trace.TracerProvider
		propagator propagation.TextMapPropagator
	}{
		"Tracer":               {panicking{}, carriers},
		"a nil provider":       {(*sdktrace.TracerProvider)(nil), carriers},
		"sampler":              {sdktrace.NewTracerProvider(sdktrace.WithSampler(panicking{})), carriers},
		"OnStart":              {sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(panicking{})), carriers},
		"OnEnd":                {sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(endPanics{tracetest.NewSpanRecorder()})), carriers},
		"propagator":           {sdktrace.NewTracerProvider(), panicking{}},
		"propagator, no spans": {noSpans, panicking{}},
	} {
		t.Run(name, func(t *testing.T) {
			reported := 0
			otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { reported++ }))
			defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Print(err) }))

			s := span.NewSource(span.Scope{}, tt.provider, tt.propagator, false, nil)
			for _, begin := range []func(*http.Request, ...trace.SpanStartOption) (*span.Handshake, *http.Request){s.Accept, s.Dial} {
				r := carrying("/")
				h, passed := begin(r)
				if passed == nil || passed.URL != r.URL && *passed.URL != *r.URL {
					t.Fatalf("the request to pass on is %v", passed)
				}
				h.End("", http.StatusSwitchingProtocols)
				h.Abandon()
				s.Close(passed.Context(), span.Closed{Code: 1000})
			}
			if reported == 0 {
				t.Error("the panic was not reported")
			}
		})
	}
}

// A program may make a request without a URL.
func TestNoURL(t *testing.T) {
	s := span.NewSource(span.Scope{}, sdktrace.NewTracerProvider(), carriers, true, nil)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL = nil
	h, _ := s.Accept(r)
	h.End("", http.StatusForbidden)
	if h, passed := s.Dial(r); passed != r {
		t.Errorf("Dial returned another request, with the span %v", h)
	}
}
