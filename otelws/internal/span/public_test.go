package span_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelws/otelws-go/otelws/internal/span"
)

var carriers = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// carrying returns a request whose client names a sampled trace.
func carrying(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Traceparent", traceparent)
	r.Header.Set("Tracestate", "vendor="+strings.Repeat("x", 200))
	r.Header.Set("Baggage", "user=root")
	return r
}

func isPublic(r *http.Request) bool {
	if r.URL.Path == "/panics" {
		panic("a mistake of the application")
	}
	return r.URL.Path == "/public"
}

// The context of a public request becomes a link, and does not affect sampling.
func TestPublicEndpoint(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	sampler := sdktrace.ParentBased(sdktrace.AlwaysSample(), sdktrace.WithRemoteParentSampled(sdktrace.NeverSample()))
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sampler))
	c := span.NewSource(span.Scope{}, tp, carriers, true, isPublic)
	for _, tt := range []struct {
		name   string
		r      *http.Request
		public bool
	}{
		{"headers", carrying("/public"), true},
		{"query", httptest.NewRequest(http.MethodGet, "/public?traceparent="+traceparent, nil), true},
		{"trusted", carrying("/trusted"), false},
		{"panics", carrying("/panics"), true},
		{"extracted by a middleware", carrying("/public").WithContext(
			propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(carrying("/").Header))), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(spans.Ended())
			h, passed := c.Accept(tt.r)
			h.End(span.RouteOf(passed.Pattern), http.StatusSwitchingProtocols)
			sc := trace.SpanContextFromContext(passed.Context())
			if !tt.public {
				if sc.TraceID().String() != traceID || len(spans.Ended()) != before {
					t.Errorf("span context %v, want the client's decision", sc)
				}
				return
			}
			if sc.TraceID().String() == traceID || !sc.IsSampled() || sc.TraceState().Len() > 0 {
				t.Errorf("span context %v, want a new and sampled trace", sc)
			}
			if b := baggage.FromContext(passed.Context()); b.Len() > 0 {
				t.Errorf("the handler has the client's baggage %v", b)
			}
			span := spans.Ended()[before]
			if links := span.Links(); span.Parent().IsValid() || len(links) != 1 ||
				links[0].SpanContext.TraceID().String() != traceID || links[0].SpanContext.TraceState().Len() > 0 {
				t.Errorf("parent %v, links %v", span.Parent(), links)
			}
		})
	}
}

// If a middleware has started a span, that span is the parent.
func TestPublicEndpointWithinSpan(t *testing.T) {
	tp := sdktrace.NewTracerProvider()
	ctx, outer := tp.Tracer("middleware").Start(context.Background(), "outer")
	defer outer.End()
	_, passed := span.NewSource(span.Scope{}, tp, carriers, false, isPublic).Accept(carrying("/public").WithContext(ctx))
	if got := trace.SpanContextFromContext(passed.Context()); got.TraceID() != outer.SpanContext().TraceID() {
		t.Errorf("trace %s, want the middleware's", got.TraceID())
	}
}

// Without spans, no context of a public client is propagated.
func TestPublicEndpointWithoutSpans(t *testing.T) {
	c := span.NewSource(span.Scope{}, noop.NewTracerProvider(), carriers, true, isPublic)
	_, passed := c.Accept(carrying("/public"))
	_, dialed := c.Dial(httptest.NewRequest(http.MethodGet, "/", nil).WithContext(passed.Context()))
	if len(dialed.Header) > 0 {
		t.Errorf("the backend gets the header %v", dialed.Header)
	}
}
