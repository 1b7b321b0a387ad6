package otelws_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// tenants declares 80 values, different ones for each server.
func tenants(server int) otelws.Option {
	names := make([]string, 80)
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%d-%d", server, i)
	}
	return otelws.WithEnum("tenant", func(r *http.Request) string { return r.URL.Query().Get("tenant") }, names...)
}

// New checks all Instrumentations of one provider together against its limit, before
// the first connection.
func TestBudgetIsShared(t *testing.T) {
	wide := otelws.WithSeriesBudget(1 << 30)
	for _, tt := range []struct {
		name     string
		provider func(t *testing.T) metric.MeterProvider
		options  func(server int) []otelws.Option
		most     int // how many of 8 servers fit
		want     string
	}{
		{
			name:     "of the SDK",
			provider: func(t *testing.T) metric.MeterProvider { return otelwstest.NewMetrics(t).MeterProvider() },
			options:  func(server int) []otelws.Option { return []otelws.Option{tenants(server), wide} },
			most:     1, want: "an instrument has 3220 attribute sets, but the SDK keeps at most 1999",
		},
		{
			name:     "of the SDK, the same tenants",
			provider: func(t *testing.T) metric.MeterProvider { return otelwstest.NewMetrics(t).MeterProvider() },
			options:  func(int) []otelws.Option { return []otelws.Option{tenants(0), wide} },
			most:     8,
		},
		{
			name:     "of the exporter, with another limit",
			provider: func(t *testing.T) metric.MeterProvider { return exporterOf(t, exporter.WithCardinalityLimit(10_000)) },
			options:  func(server int) []otelws.Option { return []otelws.Option{tenants(server), wide} },
			most:     6, want: "an instrument has 11220 attribute sets, but the SDK keeps at most 9999",
		},
		{
			name: "of the SDK, with another limit",
			provider: func(t *testing.T) metric.MeterProvider {
				return otelwstest.NewMetrics(t, sdkmetric.WithCardinalityLimit(0)).MeterProvider()
			},
			options: func(server int) []otelws.Option {
				return []otelws.Option{tenants(server), wide, otelws.WithCardinalityLimit(0)}
			},
			most: 8,
		},
		{
			name:     "by the budget of series",
			provider: func(t *testing.T) metric.MeterProvider { return exporterOf(t, exporter.WithCardinalityLimit(0)) },
			options: func(server int) []otelws.Option {
				return []otelws.Option{tenants(server), otelws.WithSeriesBudget(100_000)}
			},
			most: 2, want: "together with the 2 other Instrumentations of the MeterProvider, is above the budget of 100000",
		},
		{
			name:     "that is off",
			provider: func(*testing.T) metric.MeterProvider { return noop.NewMeterProvider() },
			options:  func(server int) []otelws.Option { return []otelws.Option{tenants(server), wide} },
			most:     8,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mp := tt.provider(t)
			var made []*otelws.Instrumentation
			for server := range 8 {
				ws, err := otelws.New(append(tt.options(server), otelws.WithMeterProvider(mp))...)
				if refused := server >= tt.most; refused != (err != nil) {
					t.Fatalf("New of server %d: %v", server+1, err)
				} else if refused {
					if !strings.Contains(err.Error(), tt.want) {
						t.Errorf("error %q does not contain %q", err, tt.want)
					}
					break
				}
				made = append(made, ws)
			}
			if tt.most == 8 {
				return
			}
			// Closing one Instrumentation makes room for another.
			if err := made[0].Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := otelws.New(append(tt.options(8), otelws.WithMeterProvider(mp))...); err != nil {
				t.Error(err)
			}
		})
	}
}

func exporterOf(t testing.TB, opts ...exporter.Option) metric.MeterProvider {
	t.Helper()
	exp, err := exporter.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exp.Shutdown(context.Background()) })
	return exp.MeterProvider()
}

// An exponential histogram is one native histogram, so the budget counts one series for
// each of its attribute sets.
func TestBudgetOfExponentialHistograms(t *testing.T) {
	regions := otelws.WithEnum("region", nil, values(69)...)
	if _, err := otelws.New(regions, otelws.WithMeterProvider(exporterOf(t))); err == nil {
		t.Error("classic histograms are within the budget")
	}
	if _, err := otelws.New(regions, otelws.WithMeterProvider(exporterOf(t, exporter.WithNativeHistograms()))); err != nil {
		t.Error(err)
	}
}

// Close removes what New has added, and with it the cost in each scrape.
func TestClose(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stays string // histograms that remain, because the API cannot remove them
		mp    func(t *testing.T) (metric.MeterProvider, sdkmetric.Reader)
	}{
		{"SDK", "ws.connection.duration ws.connection.idle ws.handshake.duration ws.message ws.message.sent ", func(*testing.T) (metric.MeterProvider, sdkmetric.Reader) {
			r := sdkmetric.NewManualReader()
			return sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)), r
		}},
		{"exporter", "ws.connection.duration ws.connection.idle ws.handshake.duration ", func(t *testing.T) (metric.MeterProvider, sdkmetric.Reader) {
			var r sdkmetric.Reader
			mp := exporterOf(t, exporter.WithoutRuntimeMetrics(), exporter.WithReader(func(p exporter.ProducerFunc) (sdkmetric.Reader, error) {
				r = sdkmetric.NewManualReader(sdkmetric.WithProducer(p(sdkmetric.DefaultTemporalitySelector)))
				return r, nil
			}))
			return mp, r
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mp, r := tt.mp(t)
			first, err := otelws.New(otelws.WithMeterProvider(mp))
			if err != nil {
				t.Fatal(err)
			}
			second, err := otelws.New(otelws.WithMeterProvider(mp))
			if err != nil {
				t.Fatal(err)
			}
			firstURL, secondURL := serve(t, first.Handler(echo)), serve(t, second.Handler(echo))
			for range 3 {
				visit(t, firstURL)
			}
			visit(t, secondURL)
			wait(t, r, "ws.connections.closed", 4)

			// While another Instrumentation is open, the sums stay, and an open
			// connection is counted until it ends.
			c, _, err := websocket.Dial(context.Background(), firstURL, nil)
			if err != nil {
				t.Fatal(err)
			}
			wait(t, r, "ws.connections.active", 1)
			for range 2 {
				if err := first.Close(); err != nil {
					t.Fatal(err)
				}
			}
			wait(t, r, "ws.connections.active", 1)
			if err := c.Write(context.Background(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(context.Background()); err != nil {
				t.Fatal(err)
			}
			wait(t, r, "ws.message", 5)
			c.Close(websocket.StatusNormalClosure, "")
			wait(t, r, "ws.connections.closed", 5)
			wait(t, r, "ws.connections.active", 0)
			for range 3 {
				visit(t, firstURL) // no longer watched
				visit(t, secondURL)
			}
			wait(t, r, "ws.connections.closed", 8)
			wait(t, r, "ws.connections.opened", 8)
			wait(t, r, "ws.message", 8)
			wait(t, r, "ws.handshake.duration", 8)

			// When the last Instrumentation closes, the series end. A new one begins at
			// 0.
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			if got := names(t, r); got != tt.stays {
				t.Errorf("after the last Close, the reader has %s, want %s", got, tt.stays)
			}
			third, err := otelws.New(otelws.WithMeterProvider(mp))
			if err != nil {
				t.Fatal(err)
			}
			wait(t, r, "ws.connections.opened", 0)
			visit(t, serve(t, third.Handler(echo)))
			wait(t, r, "ws.connections.closed", 1)
		})
	}
}

// Connections that outlive the last Instrumentation are still counted until they end.
func TestCloseOfLast(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, client := otelwstest.Pair(t, ws, nil, nil)
	if err := ws.Close(); err != nil {
		t.Fatal(err)
	}
	m.Wait(t, "ws_connections_active", 1)
	go server.CloseRead(context.Background())
	client.Close(websocket.StatusNormalClosure, "")
	m.Wait(t, `ws_connection_duration_seconds_count{code="1000",initiator="peer"}`, 1)
	eventually(t, "the scrape has no ws_connections_active", func() bool {
		_, ok := m.Value("ws_connections_active")
		return !ok
	})
}

// After a thousand Instrumentations have come and gone, a scrape costs no more than
// before.
func TestCloseThousand(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	for range 1000 {
		ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if text := m.Text(); text != "" {
		t.Errorf("after the last Close, the scrape has\n%s", text)
	}
	if n := testing.AllocsPerRun(5, func() { _ = m.Text() }); n > 1000 {
		t.Errorf("a collection makes %v allocations", n)
	}
}

// sums returns the sum of each instrument's data points, or of their counts.
func sums(t *testing.T, r sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if !strings.HasPrefix(m.Name, "ws.") {
				continue
			}
			all[m.Name] += 0
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					all[m.Name] += float64(p.Value)
				}
			case metricdata.Histogram[int64]:
				for _, p := range d.DataPoints {
					all[m.Name] += float64(p.Count)
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					all[m.Name] += float64(p.Count)
				}
			}
		}
	}
	return all
}

// names returns the names of a reader's instruments.
func names(t *testing.T, r sdkmetric.Reader) (all string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(sums(t, r))) {
		all += name + " "
	}
	return all
}

// wait waits until an instrument's data points have the sum, or the count, want.
func wait(t *testing.T, r sdkmetric.Reader, name string, want float64) {
	t.Helper()
	for deadline := time.Now().Add(waitLimit); ; time.Sleep(time.Millisecond) {
		got, ok := sums(t, r)[name]
		if ok && got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
}
