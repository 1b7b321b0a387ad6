package span_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelws/otelws-go/otelws/internal/span"
)

// uncomparable is a provider whose type is comparable but whose value is not.
type uncomparable struct{ trace.TracerProvider }

type tagged struct {
	noop.TracerProvider
	_ []string
}

func TestUncomparableProvider(t *testing.T) {
	c := span.NewSource(span.Scope{}, uncomparable{tagged{}}, nil, false, nil)
	for range 2 {
		c.Accept(httptest.NewRequest(http.MethodGet, "/ws", nil))
	}
}

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// A process that records no spans still propagates the context.
func TestPropagationWithoutSpans(t *testing.T) {
	both := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	c := span.NewSource(span.Scope{}, noop.NewTracerProvider(), both, true, nil)

	for name, carry := range map[string]func(*http.Request){
		"in the headers": func(r *http.Request) { r.Header.Set("Traceparent", traceparent) },
		"in the query":   func(r *http.Request) { r.URL.RawQuery = "traceparent=" + traceparent },
	} {
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		carry(r)
		span, passed := c.Accept(r)
		if sc := trace.SpanContextFromContext(passed.Context()); span != nil || sc.TraceID().String() != traceID || !sc.IsRemote() {
			t.Errorf("%s: the handler's span context is %v", name, sc)
		}

		out := httptest.NewRequest(http.MethodGet, "/ws", nil).WithContext(passed.Context())
		span, dialed := c.Dial(out)
		if got := dialed.Header.Get("Traceparent"); span != nil || got != traceparent || out.Header.Get("Traceparent") != "" {
			t.Errorf("%s: the backend gets the traceparent %q", name, got)
		}
	}

	member, err := baggage.NewMember("plan", "pro")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	if _, dialed := c.Dial(r.WithContext(baggage.ContextWithBaggage(context.Background(), bag))); dialed.Header.Get("Baggage") != "plan=pro" {
		t.Errorf("the backend gets the baggage %q", dialed.Header.Get("Baggage"))
	}

	// Without a context to propagate, nothing is copied.
	if _, passed := c.Accept(r); passed != r {
		t.Error("the request was copied for the handler")
	}
	if _, dialed := c.Dial(r); dialed != r {
		t.Error("the request was copied for the backend")
	}
}
