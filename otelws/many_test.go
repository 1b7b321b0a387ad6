package otelws_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws"
)

// debugAnswer is the part of DebugHandler's JSON that the tests read.
type debugAnswer struct {
	Total, Matching int
	Addresses       bool
	Sums            struct {
		Connections      map[string]int64
		MessagesReceived int64 `json:"messages_received"`
		MessagesSent     int64 `json:"messages_sent"`
		BytesReceived    int64 `json:"bytes_received"`
		BytesSent        int64 `json:"bytes_sent"`
	}
	Connections, Closed []struct {
		ID            uint64
		Role, Remote  string
		State         string
		Subprotocol   string
		TraceID       string `json:"trace_id"`
		Attributes    map[string]string
		BytesReceived int64 `json:"bytes_received"`
		Code          int
		Initiator     string
	}
}

func debug(tb testing.TB, h http.Handler, query string) (a debugAnswer) {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/ws"+query, nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		tb.Fatalf("%s: %d %s %s", query, w.Code, w.Header(), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		tb.Fatal(err)
	}
	return a
}

func always(*http.Request) bool { return true }

// talk has connection i receive and send messages(i) messages.
func talk(tb testing.TB, all []net.Conn, messages func(i int) int) {
	tb.Helper()
	buf := make([]byte, 128)
	for i, c := range all {
		for range messages(i) {
			if _, err := c.Read(buf); err != nil {
				tb.Fatal(err)
			}
			if _, err := c.Write(unmaskedMessage); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// At rest, the sums of the table agree with the scrape, and a sorted table shows the
// connections with the greatest values.
func TestDebugAgreesWithScrape(t *testing.T) {
	const n = 10_000
	ws, m := newInstrumentation(t)
	all := openInMemory(t, ws, n)
	talk(t, all, func(i int) int { return i % 4 })
	h := ws.DebugHandler(always)
	a := debug(t, h, "?sort=received&n=50")
	for _, tt := range []struct {
		series string
		got    float64
	}{
		{`ws_connections_active`, float64(a.Total)},
		{`ws_connections_active`, float64(a.Sums.Connections["server"])},
		{`ws_message_bytes_count`, float64(a.Sums.MessagesReceived)},
		{`ws_message_sent_bytes_count`, float64(a.Sums.MessagesSent)},
		{`ws_io_bytes_total{network_io_direction="receive"}`, float64(a.Sums.BytesReceived)},
		{`ws_io_bytes_total{network_io_direction="transmit"}`, float64(a.Sums.BytesSent)},
	} {
		if want, _ := m.Value(tt.series); tt.got != want || want == 0 {
			t.Errorf("the table has %v as %s, the scrape has %v", tt.got, tt.series, want)
		}
	}
	if len(a.Connections) != 50 {
		t.Errorf("the table shows %d connections, want 50", len(a.Connections))
	}
	for _, c := range a.Connections {
		if c.BytesReceived != int64(3*len(maskedMessage)) {
			t.Errorf("the table shows connection %d, which has only %d bytes", c.ID, c.BytesReceived)
		}
	}
	for _, c := range all {
		_ = c.Close()
	}
	if a := debug(t, h, ""); a.Total != 0 || len(a.Closed) != 50 || a.Closed[0].Code != 1006 || a.Closed[0].Initiator != "local" {
		t.Errorf("after all connections have ended, %d are open and %+v closed", a.Total, a.Closed)
	}
}

// While connections come and go, each look shows every lasting connection once, and
// none that ended before the look. At rest, the table agrees with the gauge.
func TestConnectionsUnderChurn(t *testing.T) {
	ws, m := newInstrumentation(t)
	const staying = 500
	all := openInMemory(t, ws, staying)
	var gone atomic.Uint64 // the connections up to this number have ended, except those that stay
	gone.Store(staying)
	done := make(chan struct{})
	var churn sync.WaitGroup
	churn.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			some := openInMemory(t, ws, 50)
			talk(t, some, func(int) int { return 1 })
			for _, c := range some {
				_ = c.Close()
			}
			gone.Add(50)
		}
	})
	for range 200 {
		before := gone.Load()
		seen := map[uint64]bool{}
		stayed := 0
		for c := range ws.Connections() {
			switch {
			case seen[c.ID]:
				t.Fatalf("one look shows connection %d twice", c.ID)
			case c.ID <= staying:
				stayed++
			case c.ID <= before:
				t.Fatalf("a look shows connection %d, which ended before", c.ID)
			}
			seen[c.ID] = true
		}
		if stayed != staying {
			t.Fatalf("a look shows %d of the %d lasting connections", stayed, staying)
		}
	}
	close(done)
	churn.Wait()
	gauge, _ := m.Value("ws_connections_active")
	if n := debug(t, ws.DebugHandler(nil), "").Total; n != staying || gauge != staying {
		t.Errorf("at rest the table has %d connections, the gauge %v", n, gauge)
	}
	for _, c := range all {
		_ = c.Close()
	}
}

// BenchmarkDebug measures one response with 100,000 open connections, and how long a
// message takes meanwhile.
func BenchmarkDebug(b *testing.B) {
	ws, err := otelws.New(otelws.WithMeterProvider(noop.NewMeterProvider()))
	if err != nil {
		b.Fatal(err)
	}
	all := openInMemory(b, ws, 100_000)
	talk(b, all, func(i int) int { return i % 4 })
	h := ws.DebugHandler(always)
	for _, query := range []string{"?sort=received", "?sort=idle", "?sort=age&filter=10.0.1", "?sort=unsent"} {
		b.Run(query[1:], func(b *testing.B) {
			done := make(chan struct{})
			var took []time.Duration
			var traffic sync.WaitGroup
			traffic.Go(func() {
				buf := make([]byte, 128)
				for i := 0; ; i += 7919 {
					select {
					case <-done:
						return
					default:
					}
					begun := time.Now()
					_, _ = all[i%len(all)].Read(buf)
					if len(took) < 1<<20 {
						took = append(took, time.Since(begun))
					}
				}
			})
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/ws"+query, nil))
				_, _ = io.Copy(io.Discard, w.Body)
			}
			close(done)
			traffic.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2]), "read-p50-ns")
			b.ReportMetric(float64(took[len(took)*999/1000]), "read-p99.9-ns")
		})
	}
}
