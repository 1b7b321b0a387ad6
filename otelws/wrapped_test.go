package otelws_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter/counted"
	"github.com/otelws/otelws-go/otelws"
)

// A MeterProvider and its wrapped form count as one provider, in either order. A
// connection counts once, and two Instrumentations add up.
func TestProviderAndWrapped(t *testing.T) {
	for _, wrappedFirst := range []bool{false, true} {
		histograms := counted.New()
		reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(histograms.Producer(sdkmetric.DefaultTemporalitySelector)))
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		given := []metric.MeterProvider{provider, histograms.Wrap(provider)}
		if wrappedFirst {
			given[0], given[1] = given[1], given[0]
		}
		var both [2]*otelws.Instrumentation
		for i, mp := range given {
			ws, err := otelws.New(otelws.WithMeterProvider(mp))
			if err != nil {
				t.Fatal(err)
			}
			both[i] = ws
		}
		for i, h := range []*httptest.Server{
			httptest.NewServer(both[0].Handler(both[1].Handler(echo))),
			httptest.NewServer(both[1].Handler(both[0].Handler(echo))),
			httptest.NewServer(both[1].Handler(echo)),
		} {
			c, _, err := websocket.Dial(t.Context(), h.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, c, "hello")
			_ = c.CloseNow()
			h.Close()
			want := int64(i + 1)
			var opened, messages int64
			for name, n := range collected(t, reader) {
				switch name {
				case "ws.connections.opened":
					opened = n
				case "ws.message":
					messages = n
				}
			}
			if opened != want || messages != want {
				t.Errorf("wrapped first %v: %d connections and %d messages, want %d", wrappedFirst, opened, messages, want)
			}
		}
		_ = provider.Shutdown(context.Background())
	}
}

// collected returns the sum of each counter and the count of each histogram. It checks
// that each name appears once.
func collected(t *testing.T, reader sdkmetric.Reader) map[string]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]int64)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if _, twice := all[m.Name]; twice {
				t.Errorf("the collection has %s twice", m.Name)
			}
			var n int64
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					n += p.Value
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					n += int64(p.Count)
				}
			}
			all[m.Name] = n
		}
	}
	return all
}
