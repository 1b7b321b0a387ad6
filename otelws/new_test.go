package otelws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func newInstrumentation(t testing.TB, opts ...otelws.Option) (*otelws.Instrumentation, *otelwstest.Metrics) {
	t.Helper()
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(append([]otelws.Option{otelws.WithMeterProvider(m.MeterProvider())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return ws, m
}

func TestNewErrors(t *testing.T) {
	type options = []otelws.Option
	tests := []struct {
		name    string
		options options
		want    string
	}{
		{"nil option", options{nil}, "option is nil"},
		{"no values", options{otelws.WithEnum("tier", nil)}, "attribute tier: declare at least one value"},
		{"empty value", options{otelws.WithEnum("tier", nil, "free", "")}, "attribute tier: an empty value"},
		{"long value", options{otelws.WithEnum("tier", nil, strings.Repeat("x", 129))}, "longer than 128 bytes"},
		{"value no UTF-8", options{otelws.WithEnum("tier", nil, "\xff")}, `value "\xff" is not valid UTF-8`},
		{"name", options{otelws.WithEnum("my tier", nil, "a")}, `attribute name "my tier"`},
		{"name reserved by Prometheus", options{otelws.WithEnum("__tier", nil, "a")}, `attribute name "__tier"`},
		{"name of our own", options{otelws.WithEnum("code", nil, "a")}, "label code is already in use by the attribute code of otelws: choose another name"},
		{"name reserved by OpenTelemetry", options{otelws.WithEnum("otel.scope.name", nil, "a")}, "attribute otel.scope.name: OpenTelemetry reserves names that begin with otel"},
		{"label reserved by OpenTelemetry", options{otelws.WithEnum("otel_metric.overflow", nil, "true")}, "OpenTelemetry reserves names that begin with otel"},
		{"name of a target label", options{otelws.WithEnum("instance", nil, "a")}, "label instance is already in use by Prometheus itself"},
		{"twice", options{otelws.WithEnum("a.b", nil, "a"), otelws.WithEnum("a_b", nil, "a")}, "attribute a_b: its Prometheus label a_b is already in use by your attribute a.b"},
		{"twice, by the same name", options{otelws.WithRoutes("/a"), otelws.WithEnum("http.route", nil, "/b")}, "attribute http.route is declared twice"},
		{"twice, as the exporter writes it", options{otelws.WithEnum("a__b", nil, "a"), otelws.WithEnum("a_b", nil, "a")}, "already in use by your attribute a__b"},
		{"route without a path", options{otelws.WithRoutes("/a", "chat")}, `invalid route "chat": use a pattern with a path`},
		{"subprotocols in one string", options{otelws.WithSubprotocols("v1, v2")}, `invalid subprotocol "v1, v2": give each name separately`},
		{"close code", options{otelws.WithCloseCodes(4001, 2999)}, "invalid close code 2999: an application may declare"},
		{"budget", options{otelws.WithSeriesBudget(0)}, "invalid series budget 0: use a positive number"},
		{"group", options{otelws.WithAttributesOn(1 << 7)}, "instrument group 128 does not exist"},
		{"on close", options{otelws.WithOnClose(nil)}, "function of WithOnClose is nil"},
		{"heartbeat", options{otelws.WithHeartbeat(otelws.Every(-1))}, "invalid heartbeat interval -1ns: use at least 1ms"},
		{"heartbeat without a unit", options{otelws.WithHeartbeat(otelws.Every(30))}, "invalid heartbeat interval 30ns: use at least 1ms, such as 30s"},
		{"pong timeout", options{otelws.WithHeartbeat(otelws.Every(time.Second), otelws.PongTimeout(2*time.Second))}, "invalid pong timeout 2s: use a duration from 1ms to the heartbeat interval of 1s"},
		{"pong timeout without a unit", options{otelws.WithHeartbeat(otelws.PongTimeout(10))}, "invalid pong timeout 10ns: use a duration from 1ms to the heartbeat interval of 30s"},
		{"heartbeat of no side", options{otelws.WithHeartbeat(otelws.AcceptedOnly(), otelws.DialedOnly())}, "a heartbeat cannot be AcceptedOnly and DialedOnly"},
		{"heartbeat misses", options{otelws.WithHeartbeat(otelws.Misses(0))}, "invalid number of heartbeat misses 0: use at least 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := append(tt.options, otelws.WithMeterProvider(noop.NewMeterProvider()))
			ws, err := otelws.New(opts...)
			if ws != nil || err == nil || !strings.HasPrefix(err.Error(), "otelws: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New returned %v, %v; want an error with %q", ws, err, tt.want)
			}
		})
	}
}

// serve serves h until the test ends, and returns its URL.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// echo is a handler as users write it.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		typ, b, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), typ, b); err != nil {
			return
		}
	}
})

// visit opens a connection, has one message echoed, and closes it.
func visit(t testing.TB, url string) {
	t.Helper()
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
}

// Two Instrumentations on one provider add up. A Handler of one inside the other's
// counts once.
func TestTwoOnOneProvider(t *testing.T) {
	a, m := newInstrumentation(t)
	b, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, a.Handler(echo)))
	visit(t, serve(t, b.Handler(echo)))
	visit(t, serve(t, a.Handler(b.Handler(echo))))
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 3)
	for _, s := range []string{"ws_connections_opened_total", "ws_message_bytes_count", `ws_frames_total{network_io_direction="receive",opcode="text"}`} {
		if v, _ := m.Value(s); v != 3 {
			t.Errorf("%s is %v, want 3", s, v)
		}
	}
}

func TestTwoProviders(t *testing.T) {
	a, am := newInstrumentation(t)
	b, bm := newInstrumentation(t)
	visit(t, serve(t, a.Handler(b.Handler(echo))))
	am.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
	bm.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
	if diff := am.Diff(bm.Changed()); diff != "" {
		t.Error(diff)
	}
}

// uncomparable is a provider whose values cannot be compared with ==.
type uncomparable struct {
	noop.MeterProvider
	tags any
}

func TestUncomparableProvider(t *testing.T) {
	mp := uncomparable{tags: map[string]string{}}
	a, err := otelws.New(otelws.WithMeterProvider(mp))
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, a.Handler(a.Handler(echo))))
}

func TestTwoReaders(t *testing.T) {
	second := sdkmetric.NewManualReader()
	m := otelwstest.NewMetrics(t, sdkmetric.WithReader(second))
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, ws.Handler(echo)))
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)

	var rm metricdata.ResourceMetrics
	if err := second.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, metric := range rm.ScopeMetrics[0].Metrics {
		if metric.Name == "ws.connections.opened" {
			if v := metric.Data.(metricdata.Sum[int64]).DataPoints[0].Value; v != 1 {
				t.Errorf("the second reader has %d connections opened, want 1", v)
			}
			return
		}
	}
	t.Error("the second reader has no ws.connections.opened")
}

var globalProvider sync.Once

// Events before the global provider is set are not lost.
func TestGlobalProvider(t *testing.T) {
	first := false
	globalProvider.Do(func() { first = true })
	if !first {
		t.Skip("a process can set the global provider only once")
	}
	ws, err := otelws.New()
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, ws.Handler(echo)))
	m := otelwstest.NewMetrics(t)
	otel.SetMeterProvider(m.MeterProvider())
	visit(t, serve(t, ws.Handler(echo)))
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 2)

	// An Instrumentation that is made now shares the provider with the first one.
	after, err := otelws.New()
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, after.Handler(ws.Handler(echo))))
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 3)
	if v, _ := m.Value("ws_connections_opened_total"); v != 3 {
		t.Errorf("%v connections opened, want 3", v)
	}

	// A global provider that is set later is a different one.
	later := otelwstest.NewMetrics(t)
	otel.SetMeterProvider(later.MeterProvider())
	other, err := otelws.New()
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, after.Handler(other.Handler(echo))))
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 4)
	later.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
}

// A no-op provider turns recording off.
func TestNoopProvider(t *testing.T) {
	ws, err := otelws.New(otelws.WithMeterProvider(noop.NewMeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, ws.Handler(echo)))
}
