package otelws_test

import (
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

const idleConns = 10_000

// BenchmarkIdle is what an open connection that says nothing costs the server:
// bytes of heap and stack, and goroutines, the handler's own included. The
// clients are in another process.
func BenchmarkIdle(b *testing.B) {
	heartbeat := func(every time.Duration) func(*testing.B, http.Handler) http.Handler {
		return func(b *testing.B, _ http.Handler) http.Handler {
			ws, err := otelws.New(
				otelws.WithMeterProvider(otelwstest.NewMetrics(b).MeterProvider()),
				otelws.WithHeartbeat(otelws.Every(every)))
			if err != nil {
				b.Fatal(err)
			}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := ws.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer c.CloseNow()
				c.Read(r.Context())
			})
		}
	}
	silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Read(r.Context())
	})
	variants := append(instrumentations, struct {
		name    string
		handler func(*testing.B, http.Handler) http.Handler
	}{"Heartbeat", heartbeat(time.Hour)})
	for _, v := range variants {
		b.Run(v.name, func(b *testing.B) {
			for b.Loop() {
				url := serve(b, v.handler(b, silent))
				before := memory()
				clients := startEchoClients(b, url, idleConns, 0)
				clients.run(b, 0)
				after := memory()
				b.ReportMetric(float64(after.heap-before.heap)/idleConns, "heap-B/conn")
				b.ReportMetric(float64(after.stacks-before.stacks)/idleConns, "stack-B/conn")
				b.ReportMetric(float64(after.goroutines-before.goroutines)/idleConns, "goroutines/conn")
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
