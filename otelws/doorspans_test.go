package otelws_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// A handshake has one span, which ends, whether a Handler, a Listener or both watch it.
func TestDoorSpans(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }
	echo := gorillaEcho(&gorilla.Upgrader{})
	for _, c := range []struct {
		name  string
		serve func(ws *otelws.Instrumentation) http.Handler
		spans int64 // of a connection, with the span of its end
		fault float64
	}{
		{"a Listener", func(*otelws.Instrumentation) http.Handler { return echo }, 2, 0},
		{"a Listener, refused", func(*otelws.Instrumentation) http.Handler { return http.HandlerFunc(refuse) }, 1, 0},
		{"a Handler inside", func(ws *otelws.Instrumentation) http.Handler { return ws.Handler(echo) }, 2, 0},
		{"a Handler inside, refused", func(ws *otelws.Instrumentation) http.Handler { return ws.Handler(http.HandlerFunc(refuse)) }, 1, 0},
		{"a fault", func(ws *otelws.Instrumentation) http.Handler { return breaking(ws.Handler(echo)) }, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, spans := otelwstest.NewMetrics(t), new(openSpans)
			ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), otelws.WithPropagator(propagation.TraceContext{}),
				otelws.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
			if err != nil {
				t.Fatal(err)
			}
			s := startServer(t, nil, c.serve(ws), listening(ws))
			w := connectWire(t, s)
			w.send(handshakeRequest())
			if w.response().StatusCode == http.StatusSwitchingProtocols {
				w.send(masked(fin|opClose, closePayload(1000, "")))
			}
			w.shut()
			w.rest()
			s.wait(t)
			done := func() bool { return spans.open.Load() == 0 && spans.started.Load() >= c.spans }
			for end := time.Now().Add(waitLimit); !done() && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if started, open := spans.started.Load(), spans.open.Load(); started != c.spans || open != 0 {
				t.Errorf("%d spans, of which %d have not ended, want %d", started, open, c.spans)
			}
			m.Wait(t, `ws_protocol_errors_total{error_type="internal"}`, c.fault)
		})
	}
}

// breaking gives next a request whose context panics in Err. The first call of Err
// comes after the response.
func breaking(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(brokenContext{r.Context()}))
	})
}

type brokenContext struct{ context.Context }

func (brokenContext) Err() error { panic("no") }

// A Handler inside a Listener gives its span the parent that a middleware between them
// has set.
func TestHandlerInsideListenerHasTheParent(t *testing.T) {
	tr := newTraced(t, sdktrace.AlwaysSample())
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	h := tr.Handler(gorillaEcho(&gorilla.Upgrader{}))
	s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(trace.ContextWithSpanContext(r.Context(), parent)))
	}), listening(tr.Instrumentation))
	w := openWire(t, s)
	w.send(masked(fin|opClose, closePayload(1000, "")))
	w.rest()
	s.wait(t)
	spans := tr.wait(t, 2)
	if len(spans) != 2 || spans[0].Parent.SpanID() != parent.SpanID() || spans[1].Parent.SpanID() != spans[0].SpanContext.SpanID() {
		t.Errorf("spans:\n%s", describe(spans))
	}
}

// The span of a dialed handshake begins with the dial, whether the dial succeeds or
// fails. A later handshake on the same connection begins with its request.
func TestDialedSpanBegins(t *testing.T) {
	tr := newTraced(t, sdktrace.AlwaysSample())
	s := startServer(t, nil, plainAnd(gorillaEcho(&gorilla.Upgrader{})))
	var dialing, dialed time.Time
	fail := true
	dial := tr.DialContext(func(ctx context.Context, network, address string) (net.Conn, error) {
		dialing = time.Now()
		defer func() { dialed = time.Now() }()
		if fail {
			return nil, errors.New("no")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	})
	begins := func(spans tracetest.SpanStubs, first, last time.Time) {
		t.Helper()
		span := spans[len(spans)-1]
		if at := span.StartTime; at.Before(first) || at.After(last) || !isClient(span) || span.EndTime.Before(dialed) {
			t.Errorf("span %s from %v to %v does not begin between %v and %v, or ends before the dial", span.Name, at, span.EndTime, first, last)
		}
	}
	called := time.Now()
	address := s.Listener.Addr().String()
	if _, err := dial(t.Context(), "tcp", address); err == nil {
		t.Fatal("the dial did not fail")
	}
	begins(tr.wait(t, 1), called, dialing)

	fail, called = false, time.Now()
	nc, err := dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Conn: nc, t: t, br: bufio.NewReader(nc)}
	w.send(handshakeRequest("X-Refuse: yes"))
	w.answered(http.StatusForbidden)
	begins(tr.wait(t, 2), called, dialing)

	called = time.Now()
	w.send(handshakeRequest())
	w.answered(http.StatusSwitchingProtocols)
	begins(tr.wait(t, 3), called, time.Now())
	_ = w.Close()
	s.wait(t)
}
