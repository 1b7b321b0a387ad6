package otelws_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// instrumentations are what each benchmark compares: no Handler, one that
// records nowhere, one that the SDK records for, and one with the exporter,
// which takes histograms that are counted by the connections themselves.
var instrumentations = []struct {
	name    string
	handler func(b *testing.B, next http.Handler) http.Handler
}{
	{"Bare", func(_ *testing.B, next http.Handler) http.Handler { return next }},
	{"Noop", func(b *testing.B, next http.Handler) http.Handler {
		ws, err := otelws.New(otelws.WithMeterProvider(noop.NewMeterProvider()))
		if err != nil {
			b.Fatal(err)
		}
		return ws.Handler(next)
	}},
	{"SDK", func(b *testing.B, next http.Handler) http.Handler {
		ws, err := otelws.New(otelws.WithMeterProvider(otelwstest.NewMetrics(b).MeterProvider()))
		if err != nil {
			b.Fatal(err)
		}
		return ws.Handler(next)
	}},
	{"Exporter", func(b *testing.B, next http.Handler) http.Handler {
		exp, err := exporter.New()
		if err != nil {
			b.Fatal(err)
		}
		ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
		if err != nil {
			b.Fatal(err)
		}
		return ws.Handler(next)
	}},
}

// BenchmarkEcho is the round trip of one message over loopback TCP, the bare
// client's side included.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"64B", 64}, {"16KiB", 16 << 10}} {
		for _, i := range instrumentations {
			b.Run(size.name+"/"+i.name, func(b *testing.B) {
				ctx := context.Background()
				c, _, err := websocket.Dial(ctx, serve(b, i.handler(b, echo)), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer c.CloseNow()
				message := make([]byte, size.bytes)
				b.ReportAllocs()
				for b.Loop() {
					if err := c.Write(ctx, websocket.MessageBinary, message); err != nil {
						b.Fatal(err)
					}
					if _, _, err := c.Read(ctx); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkConnection is a connection opened and closed.
func BenchmarkConnection(b *testing.B) {
	for _, i := range instrumentations {
		b.Run(i.name, func(b *testing.B) {
			url := serve(b, i.handler(b, echo))
			b.ReportAllocs()
			for b.Loop() {
				c, _, err := websocket.Dial(context.Background(), url, nil)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
