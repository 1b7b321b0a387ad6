package otelws_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"

	"github.com/otelws/otelws-go/otelws"
)

// ledger holds the lifecycle metrics of one collection, by value of the attribute tier.
type ledger struct{ opened, active, closed map[string]int64 }

// collect collects once, and checks that opened = active + sum(closed).
func collect(tb interface{ Errorf(string, ...any) }, r *sdkmetric.ManualReader) ledger {
	var rm metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &rm); err != nil {
		tb.Errorf("failed to collect: %v", err)
	}
	l := ledger{}
	for _, s := range rm.ScopeMetrics {
		for _, m := range s.Metrics {
			switch m.Name {
			case "ws.connections.opened":
				l.opened = byTier(m.Data)
			case "ws.connections.active":
				l.active = byTier(m.Data)
			case "ws.connections.closed":
				l.closed = byTier(m.Data)
			}
		}
	}
	for tier, opened := range l.opened {
		if l.active[tier] < 0 || opened != l.active[tier]+l.closed[tier] {
			tb.Errorf("tier %s: %d opened, %d active, %d closed", tier, opened, l.active[tier], l.closed[tier])
		}
	}
	return l
}

func byTier(data metricdata.Aggregation) map[string]int64 {
	sums := make(map[string]int64)
	for _, p := range data.(metricdata.Sum[int64]).DataPoints {
		tier, _ := p.Attributes.Value(attribute.Key("tier"))
		sums[tier.AsString()] += p.Value
	}
	return sums
}

// TestConservation opens connections, and ends each in a random way on either side.
// Meanwhile two scrapers check in every collection that opened = active + sum(closed).
// Afterwards the gauge must equal the number of sockets still open, and 0 once the test
// has closed them.
func TestConservation(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	ws, err := otelws.New(
		otelws.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
		otelws.WithEnum("tier", tier, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{ws: ws}
	h.start()
	defer func() { h.server.Close() }()

	done := make(chan struct{})
	var scrapers sync.WaitGroup
	for range 2 {
		scrapers.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
					collect(t, reader)
				}
			}
		})
	}
	defer scrapers.Wait()
	defer close(done)

	want := map[string]int64{}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "connections")
		var lives sync.WaitGroup
		for i := range n {
			host := rapid.SampledFrom(hosts).Draw(t, fmt.Sprintf("server %d", i))
			guest := rapid.SampledFrom(guests).Draw(t, fmt.Sprintf("client %d", i))
			tier := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, fmt.Sprintf("tier %d", i))
			if host.accepts {
				if tier == "c" {
					want["other"]++
				} else {
					want[tier]++
				}
			}
			lives.Go(func() { h.visit(t, host, guest, tier) })
		}
		lives.Wait()
		h.acting.Wait()
		h.quiet(t, reader, want)
		if rapid.Bool().Draw(t, "the server closes") {
			h.server.Config.Close() // leaves hijacked connections open
			h.start()
			h.quiet(t, reader, want)
		}
		h.release()
		h.quiet(t, reader, want)
		if l := collect(t, reader); total(l.active) != 0 {
			t.Errorf("after all connections were closed: %v", l)
		}
	})
	l := collect(t, reader)
	t.Logf("%d connections: %v", total(l.opened), l)
	for tier, n := range want {
		if l.opened[tier] != n || l.closed[tier] != n {
			t.Errorf("tier %s: %d opened, %d closed, want %d", tier, l.opened[tier], l.closed[tier], n)
		}
	}
}

// house is a server whose handlers end connections in every way.
type house struct {
	ws     *otelws.Instrumentation
	server *httptest.Server
	held   atomic.Int64 // open sockets, as the test counts them

	acting sync.WaitGroup // handlers that return without the client
	mu     sync.Mutex
	leases []func()
}

// start starts the server on an address of its own.
func (h *house) start() {
	h.server = httptest.NewUnstartedServer(h)
	h.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.server.Start()
}

// hold counts a socket as open until release calls letGo.
func (h *house) hold(letGo func()) {
	h.held.Add(1)
	h.lease(func() {
		letGo()
		h.held.Add(-1)
	})
}

// lease adds f to the functions that release calls.
func (h *house) lease(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leases = append(h.leases, f)
}

func (h *house) release() {
	h.mu.Lock()
	leases := h.leases
	h.leases = nil
	h.mu.Unlock()
	for _, letGo := range leases {
		letGo()
	}
}

// quiet waits until the metrics count all openings, and the gauge equals the number of
// held sockets.
func (h *house) quiet(t *rapid.T, r *sdkmetric.ManualReader, opened map[string]int64) {
	var l ledger
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		l = collect(t, r)
		if total(l.opened) == total(opened) && total(l.active) == h.held.Load() {
			return
		}
	}
	t.Fatalf("%d connections opened and %d sockets held, but the metrics are %v", total(opened), h.held.Load(), l)
}

func total(byTier map[string]int64) (n int64) {
	for _, v := range byTier {
		n += v
	}
	return n
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, host := range hosts {
		if host.name == r.URL.Query().Get("host") {
			if !host.waits {
				defer h.acting.Done()
			}
			host.serve(h, w, r)
		}
	}
}
