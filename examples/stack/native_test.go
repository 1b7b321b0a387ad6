//go:build unix

package main_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

var histograms = []string{
	"ws_message_bytes", "ws_message_sent_bytes", "ws_heartbeat_rtt_seconds", "ws_connection_duration_seconds", "ws_handshake_duration_seconds",
}

// Prometheus scrapes native histograms from an exporter that has them: one series
// each, with quantiles.
func TestNativeHistogramsAreScraped(t *testing.T) {
	t.Parallel()
	exp := must(exporter.New(exporter.WithNativeHistograms()))(t)
	ws := must(otelws.New(otelws.WithMeterProvider(exp.MeterProvider())))(t)
	server := httptest.NewServer(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			_ = c.Write(r.Context(), typ, b)
			go c.Ping(r.Context()) // the next Read reads the pong
		}
	})))
	t.Cleanup(server.Close)
	metrics := httptest.NewServer(exp.Handler())
	t.Cleanup(metrics.Close)

	s := newStack(t, fast)
	s.Edit = func(text string) string {
		text = strings.Replace(text, s.At.Demos[0].Metrics+", "+s.At.Demos[1].Metrics, strings.TrimPrefix(metrics.URL, "http://"), 1)
		return strings.Replace(text, "    metrics_path: /metrics\n", "    metrics_path: /metrics\n    scrape_native_histograms: true\n", 1)
	}
	must(s.Prometheus(t.Context()))(t)
	c, _, err := websocket.Dial(t.Context(), server.URL, nil)
	check(t, err)
	for range 100 {
		check(t, c.Write(t.Context(), websocket.MessageBinary, make([]byte, 1000)))
		_, _, err := c.Read(t.Context())
		check(t, err)
	}
	c.CloseNow()

	prom := ask(t, s.At.Prometheus)
	prom.await(`histogram_count(ws_message_bytes)`, equals(100))
	prom.await(`histogram_sum(ws_message_sent_bytes)`, equals(100_000))
	prom.await(`histogram_quantile(0.95, sum(ws_message_bytes))`, func(v float64) bool { return 950 < v && v < 1050 })
	for _, name := range histograms {
		prom.await(`sum(histogram_count(`+name+`))`, above(0))
		if series := prom.query(name + `_bucket`); len(series) != 0 {
			t.Errorf("%s has buckets of its own: %v", name, series)
		}
	}
}

// With the variable of the specification, the pushed histograms are exponential, and
// their counts match the classic histograms of the scrape.
func TestExponentialHistogramsArePushed(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	must(s.Prometheus(t.Context()))(t)
	s.DemoEnv = []string{
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://" + s.At.Prometheus + "/api/v1/otlp/v1/metrics", "OTEL_METRIC_EXPORT_INTERVAL=1000",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=base2_exponential_bucket_histogram",
		"OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_METRICS_EXPORTER=",
	}
	must(s.Demo(t.Context(), 0, "--heartbeat", "1s"))(t)
	prom := ask(t, s.At.Prometheus)
	t.Run("traffic", func(t *testing.T) { // the traffic ends with the subtest
		var broken atomic.Int64
		talk(t, s.At.Demos[0].WebSocket, 1000, &broken)
		drop(t, s.At.Demos[0].WebSocket)
		prom.await(`sum(ws_heartbeat_rtt_seconds_count{job="websocket"})`, above(1))
	})
	for _, name := range histograms {
		prom.await(`sum(histogram_count(`+name+`{job="otelws-demo"})) - sum(`+name+`_count{job="websocket"})`, equals(0))
		prom.await(`sum(histogram_sum(`+name+`{job="otelws-demo"})) / sum(`+name+`_sum{job="websocket"})`, func(v float64) bool { return 0.999999 < v && v < 1.000001 })
	}
	prom.await(`histogram_quantile(0.95, sum(ws_message_bytes{job="otelws-demo"}))`, func(v float64) bool { return 950 < v && v < 1050 })
}
