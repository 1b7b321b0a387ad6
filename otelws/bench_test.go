package otelws_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// instrumentations are the variants that each benchmark compares: no Handler, a Handler
// with the no-op provider, one with the SDK, and one with the exporter. With the
// exporter, the connections count their histograms themselves.
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

// BenchmarkEcho measures the round trip of one message over loopback TCP. The cost of
// the client, which is not instrumented, is part of it.
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

// BenchmarkCompressedEcho measures the round trip of one compressed message of 1 KiB
// over loopback TCP: without the tap, with it, and with it and decoded sizes. The cost
// of the client, which is not instrumented, is part of it.
func BenchmarkCompressedEcho(b *testing.B) {
	const mode = websocket.CompressionNoContextTakeover
	next := coderEcho(&websocket.AcceptOptions{CompressionMode: mode})
	var message []byte
	for i := 0; len(message) < 1<<10; i++ {
		message = fmt.Appendf(message, `{"id":%d,"type":"position","lat":%.5f,"lon":%.5f},`, i, 52+float64(i)/977, 13-float64(i)/1013)
	}
	message = message[:1<<10]
	watched := func(opts ...otelws.Option) func(b *testing.B) http.Handler {
		return func(b *testing.B) http.Handler {
			ws, _ := newInstrumentation(b, opts...)
			return ws.Handler(next)
		}
	}
	for _, i := range []struct {
		name    string
		handler func(b *testing.B) http.Handler
	}{
		{"Bare", func(*testing.B) http.Handler { return next }},
		{"Wire", watched()},
		{"Decoded", watched(otelws.WithDecodedSizes())},
	} {
		b.Run(i.name, func(b *testing.B) {
			ctx := context.Background()
			c, _, err := websocket.Dial(ctx, serve(b, i.handler(b)), &websocket.DialOptions{CompressionMode: mode})
			if err != nil {
				b.Fatal(err)
			}
			defer c.CloseNow()
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if err := c.Write(ctx, websocket.MessageText, message); err != nil {
					b.Fatal(err)
				}
				if _, _, err := c.Read(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpuTime(b)-before).Seconds()*1e6/float64(b.N), "cpu-µs/op")
		})
	}
}

// BenchmarkConnection measures how long a connection takes to open and close.
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
