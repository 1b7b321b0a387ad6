package tracing_test

import (
	"context"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing"
)

var benchmarks = []struct {
	name string
	tp   trace.TracerProvider
	mp   metric.MeterProvider
	p    []tracing.Policy
	opts []tracing.ConnOption
}{
	{name: "Noop", tp: tracenoop.NewTracerProvider(), mp: metricnoop.NewMeterProvider()},
	{name: "Off", p: []tracing.Policy{tracing.Ratio(0)}},
	{name: "Off,JSON", p: []tracing.Policy{tracing.Ratio(0)}, opts: []tracing.ConnOption{tracing.JSON()}},
	{name: "1%", p: []tracing.Policy{tracing.Ratio(.01)}},
	{name: "1%,JSON", p: []tracing.Policy{tracing.Ratio(.01)}, opts: []tracing.ConnOption{tracing.JSON()}},
	{name: "100%,JSON", opts: []tracing.ConnOption{tracing.JSON()}},
}

var benchMessage = []byte(`{"id":"4711","type":"greeting","body":"hello, hello, hello, hello, hello, hello"}`)

// BenchmarkEcho sends a message in memory and reads its echo. The server uses
// coder/websocket directly, or Serve and Send.
func BenchmarkEcho(b *testing.B) {
	b.Run("Bare", func(b *testing.B) {
		benchmarkEcho(b, func(ctx context.Context, c *websocket.Conn) {
			for {
				typ, data, err := c.Read(ctx)
				if err != nil || c.Write(ctx, typ, data) != nil {
					return
				}
			}
		})
	})
	for _, m := range benchmarks {
		b.Run(m.name, func(b *testing.B) {
			i := benchInstrumentation(b, m.tp, m.mp, m.p)
			benchmarkEcho(b, func(ctx context.Context, c *websocket.Conn) {
				conn, err := i.Conn(ctx, c, m.opts...)
				if err != nil {
					b.Error(err)
					return
				}
				_ = conn.Serve(ctx, func(ctx context.Context, typ websocket.MessageType, data []byte) error {
					return conn.Send(ctx, typ, data)
				})
			})
		})
	}
}

// BenchmarkMessage measures only the spans of one received and one sent message.
func BenchmarkMessage(b *testing.B) {
	ctx := context.Background()
	for _, m := range benchmarks {
		b.Run(m.name, func(b *testing.B) {
			messages, err := benchInstrumentation(b, m.tp, m.mp, m.p).Messages(ctx, m.opts...)
			if err != nil {
				b.Fatal(err)
			}
			b.Run("Receive", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _, p := messages.StartReceive(ctx, text, benchMessage)
					p.End(nil)
				}
			})
			b.Run("Send", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _, s := messages.StartSend(ctx, text, benchMessage)
					s.End(nil)
				}
			})
		})
	}
}

func benchInstrumentation(b *testing.B, tp trace.TracerProvider, mp metric.MeterProvider, policies []tracing.Policy) *tracing.Instrumentation {
	b.Helper()
	if tp == nil {
		tp = sdktrace.NewTracerProvider()
	}
	if mp == nil {
		mp = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	}
	i, err := tracing.New(tracing.WithTracerProvider(tp), tracing.WithMeterProvider(mp), tracing.WithSampling(policies...))
	if err != nil {
		b.Fatal(err)
	}
	return i
}

func benchmarkEcho(b *testing.B, serve func(context.Context, *websocket.Conn)) {
	ws, err := otelws.New(otelws.WithMeterProvider(metricnoop.NewMeterProvider()))
	if err != nil {
		b.Fatal(err)
	}
	server, client := otelwstest.Pair(b, ws, nil, nil)
	ctx := context.Background()
	go serve(ctx, server)
	b.ReportAllocs()
	for b.Loop() {
		if err := client.Write(ctx, text, benchMessage); err != nil {
			b.Fatal(err)
		}
		if _, _, err := client.Read(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
