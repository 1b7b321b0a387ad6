package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// The results of each kind of request: the SERVER spans with their scopes, and the
// counts of the two duration histograms.
func TestOneSpanForEachRequest(t *testing.T) {
	const (
		httpRequests = "http_server_request_duration_seconds_count"
		handshakes   = "ws_handshake_duration_seconds_count"
	)
	tests := []struct {
		name    string
		request func(t *testing.T, url string, m *otelwstest.Metrics)
		spans   []string
		counted map[string]float64
	}{
		{
			"plain", get("/hello", nil),
			[]string{"otelhttp: GET /hello"},
			map[string]float64{httpRequests: 1},
		},
		{
			"WebSocket", converse,
			[]string{"otelws: GET /echo"},
			map[string]float64{handshakes: 1},
		},
		{
			"refused WebSocket", get("/echo", http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"}}),
			[]string{"otelws: GET /echo"},
			map[string]float64{handshakes: 1},
		},
		{
			"upgrade to something else", get("/hello", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"h2c"}}),
			[]string{"otelhttp: GET /hello"},
			map[string]float64{httpRequests: 1},
		},
		{
			"Upgrade without Connection", get("/hello", http.Header{"Upgrade": {"websocket"}}),
			[]string{"otelhttp: GET /hello"},
			map[string]float64{httpRequests: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, spans := otelwstest.NewMetrics(t), tracetest.NewSpanRecorder()
			otel.SetMeterProvider(m.MeterProvider())
			otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
			handler, err := newHandler()
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewServer(handler)
			defer srv.Close()
			tt.request(t, srv.URL, m)
			srv.Close() // waits until the handlers have returned

			if diff := cmp.Diff(tt.spans, serverSpans(spans.Ended())); diff != "" {
				t.Errorf("SERVER spans (-want +got):\n%s", diff)
			}
			if open := len(spans.Started()) - len(spans.Ended()); open != 0 {
				t.Errorf("%d spans have not ended", open)
			}
			counted := make(map[string]float64)
			for line := range strings.Lines(m.Changed()) {
				sample, _, _ := strings.Cut(strings.TrimSpace(line), " ")
				if name, _, _ := strings.Cut(sample, "{"); name == httpRequests || name == handshakes {
					v, _ := m.Value(sample)
					counted[name] += v
				}
			}
			if diff := cmp.Diff(tt.counted, counted); diff != "" {
				t.Errorf("measurements (-want +got):\n%s\n%s", diff, m.Changed())
			}
		})
	}
}

func get(path string, header http.Header) func(*testing.T, string, *otelwstest.Metrics) {
	return func(t *testing.T, url string, _ *otelwstest.Metrics) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if header != nil {
			r.Header = header
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

func converse(t *testing.T, url string, m *otelwstest.Metrics) {
	c, _, err := websocket.Dial(t.Context(), url+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := c.Read(t.Context()); err != nil || string(message) != "hello" {
		t.Fatalf("Read: %q, %v", message, err)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
}

func serverSpans(spans []sdktrace.ReadOnlySpan) []string {
	var names []string
	for _, s := range spans {
		if s.SpanKind() == trace.SpanKindServer {
			scope := s.InstrumentationScope().Name
			names = append(names, scope[strings.LastIndex(scope, "/")+1:]+": "+s.Name())
		}
	}
	slices.Sort(names)
	return names
}
