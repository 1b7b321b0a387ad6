package otelws_test

import (
	"context"
	"testing"

	"github.com/coder/websocket"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter/counted"
	"github.com/otelws/otelws-go/otelws"
)

// OTLP carries the sizes of the smallest and the largest message, whether a message
// came in one piece or in many.
func TestExtremesOfMessages(t *testing.T) {
	for name, sizes := range map[string][]int{
		"small": {10, 300, 2000}, "large": {5000, 30_000}, "both": {10, 30_000}, "empty": {0, 1}, "one": {64},
	} {
		t.Run(name, func(t *testing.T) {
			h := counted.New()
			reader := sdkmetric.NewManualReader(sdkmetric.WithProducer(h.Producer(nil)))
			mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
			ws, err := otelws.New(otelws.WithMeterProvider(h.Wrap(mp)))
			if err != nil {
				t.Fatal(err)
			}
			c, _, err := websocket.Dial(context.Background(), serve(t, ws.Handler(echo)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			for _, n := range sizes {
				if err := c.Write(context.Background(), websocket.MessageBinary, make([]byte, n)); err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.Read(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // a second collection has the same extremes
				for _, instrument := range []string{"ws.message", "ws.message.sent"} {
					eventually(t, instrument+" has counted all messages", func() bool { return sizesOf(t, reader, instrument).Count == uint64(len(sizes)) })
					p := sizesOf(t, reader, instrument)
					least, _ := p.Min.Value()
					greatest, _ := p.Max.Value()
					if want := sizes[len(sizes)-1]; least != int64(sizes[0]) || greatest != int64(want) {
						t.Errorf("%s has extremes %d and %d, want %d and %d", instrument, least, greatest, sizes[0], want)
					}
				}
			}
		})
	}
}

func sizesOf(t *testing.T, r sdkmetric.Reader, instrument string) (p metricdata.HistogramDataPoint[int64]) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[int64]); ok && m.Name == instrument && len(h.DataPoints) > 0 {
				return h.DataPoints[0]
			}
		}
	}
	return p
}
