package otelws_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

const idleConns = 10_000

// BenchmarkIdle measures what an idle connection costs the server: bytes of heap and
// stack, and goroutines, those of the handler included. The clients are in another
// process.
func BenchmarkIdle(b *testing.B) {
	var m *otelwstest.Metrics // the metrics of the heartbeat
	heartbeat := func(opts ...otelws.HeartbeatOption) func(*testing.B, http.Handler) http.Handler {
		return func(b *testing.B, next http.Handler) http.Handler {
			m = otelwstest.NewMetrics(b)
			ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), otelws.WithHeartbeat(opts...))
			if err != nil {
				b.Fatal(err)
			}
			return ws.Handler(next)
		}
	}
	quiet := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Read(r.Context())
	})
	spans := new(openSpans)
	traced := func(b *testing.B, next http.Handler) http.Handler {
		ws, err := otelws.New(
			otelws.WithMeterProvider(otelwstest.NewMetrics(b).MeterProvider()),
			otelws.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
		if err != nil {
			b.Fatal(err)
		}
		return ws.Handler(next)
	}
	warmGoroutines(2 * idleConns)
	type variant = struct {
		name    string
		handler func(*testing.B, http.Handler) http.Handler
	}
	const beating = "Beating" // peers answer, and at any time a third of the pings awaits its pong
	variants := append(instrumentations, variant{"Traced", traced},
		variant{"Heartbeat", heartbeat(otelws.Every(time.Hour))},
		variant{beating, heartbeat(otelws.Every(9*time.Second), otelws.PongTimeout(3*time.Second), otelws.Misses(1<<15))})
	for _, v := range variants {
		b.Run(v.name, func(b *testing.B) {
			for b.Loop() {
				url := serve(b, v.handler(b, quiet))
				before := memory()
				clients := startEchoClients(b, url, idleConns, 0)
				if clients.run(b, 0); v.name == beating {
					clients.run(b, listen)
					for n := 0.0; n < 3*idleConns; n, _ = m.Value(rtt) {
						time.Sleep(100 * time.Millisecond)
					}
				}
				after := memory()
				b.ReportMetric(float64(after.heap-before.heap)/idleConns, "heap-B/conn")
				b.ReportMetric(float64(after.stacks-before.stacks)/idleConns, "stack-B/conn")
				b.ReportMetric(float64(after.goroutines-before.goroutines)/idleConns, "goroutines/conn")
				b.ReportMetric(float64(spans.open.Load()), "open-spans")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// warmGoroutines has the runtime allocate the goroutines that connections will use. The
// runtime reuses them, so without it the first variant alone would pay for them.
func warmGoroutines(n int) {
	var all sync.WaitGroup
	over := make(chan struct{})
	for range n {
		all.Go(func() { <-over })
	}
	close(over)
	all.Wait()
}

// openSpans counts the spans that have begun, and those that are open.
type openSpans struct{ started, open atomic.Int64 }

func (o *openSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {
	o.started.Add(1)
	o.open.Add(1)
}
func (o *openSpans) OnEnd(sdktrace.ReadOnlySpan)    { o.open.Add(-1) }
func (*openSpans) Shutdown(context.Context) error   { return nil }
func (*openSpans) ForceFlush(context.Context) error { return nil }

// silent is a transport whose peer sends nothing.
type silent struct {
	net.Conn
	closed chan struct{}
	once   *sync.Once
}

func (s silent) Read([]byte) (int, error) {
	<-s.closed
	return 0, net.ErrClosed
}

func (s silent) Write(p []byte) (int, error) { return len(p), nil }

func (s silent) SetWriteDeadline(time.Time) error { return nil }

func (s silent) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// BenchmarkIdleInMemory is BenchmarkIdle with ten times as many connections, on
// transports that need no descriptors.
func BenchmarkIdleInMemory(b *testing.B) {
	const conns = 100_000
	warmGoroutines(2 * conns)
	ws, err := otelws.New(
		otelws.WithMeterProvider(otelwstest.NewMetrics(b).MeterProvider()),
		otelws.WithHeartbeat(otelws.Every(time.Hour)))
	if err != nil {
		b.Fatal(err)
	}
	for name, accept := range map[string]func(http.ResponseWriter, *http.Request, *websocket.AcceptOptions) (*websocket.Conn, error){
		"Bare": websocket.Accept, "Heartbeat": ws.Accept,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				before := memory()
				open := make([]*websocket.Conn, conns)
				var readers sync.WaitGroup
				for i := range open {
					c, err := accept(pipeWriter{httptest.NewRecorder(), silent{nil, make(chan struct{}), new(sync.Once)}}, upgrade(), nil)
					if err != nil {
						b.Fatal(err)
					}
					open[i] = c
					readers.Go(func() { c.Read(context.Background()) })
				}
				after := memory()
				b.ReportMetric(float64(after.heap-before.heap)/conns, "heap-B/conn")
				b.ReportMetric(float64(after.goroutines-before.goroutines)/conns, "goroutines/conn")
				for _, c := range open {
					c.CloseNow()
				}
				readers.Wait()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

type footprint struct{ heap, stacks, goroutines int64 }

func memory() footprint {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{int64(m.HeapAlloc), int64(m.StackInuse), int64(runtime.NumGoroutine())}
}
