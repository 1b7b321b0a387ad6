//go:build unix

package main_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/common/model"
)

// push makes the demo push its metrics once a second, and its traces.
var push = []string{"OTEL_METRICS_EXPORTER=otlp", "OTEL_METRIC_EXPORT_INTERVAL=1000", "OTEL_METRIC_EXPORT_TIMEOUT=1000"}

// Prometheus gets the same series from the Collector, whether the Collector scrapes
// the instance or receives its push, with both of the Collector's exporters.
func TestScrapeAndPushAgree(t *testing.T) {
	for _, exporter := range []string{"prometheus_remote_write", "otlp_http/metrics"} {
		t.Run(exporter, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, fast)
			s.Edit, s.DemoEnv = scrapeNoDemo, push
			must(s.Prometheus(t.Context()))(t)
			_, port, _ := net.SplitHostPort(s.At.Demos[0].Metrics)
			must(s.Collector(t.Context(), "collector",
				"METRICS_EXPORTER="+exporter, "NODE_NAME=ws-17",
				"WS_METRICS_TARGETS=[127.0.0.1:"+port+"]",
				"WS_METRICS_INTERVAL=1s", "WS_METRICS_TIMEOUT=1s",
			))(t)
			must(s.Demo(t.Context(), 0))(t)
			prom := ask(t, s.At.Prometheus)
			for range 5 {
				drop(t, s.At.Demos[0].WebSocket)
				visit(t, s.At.Demos[0].WebSocket)
			}
			t.Run("traffic", func(t *testing.T) { // the traffic ends with the subtest
				var broken atomic.Int64
				for _, size := range []int{10, 100, 5000, 300_000} {
					talk(t, s.At.Demos[0].WebSocket, size, &broken)
				}
				prom.await(`sum(ws_message_bytes_count{job="websocket"})`, above(40))
				prom.await(`sum(ws_message_bytes_count{job="otelws-demo"})`, above(40))
				if n := broken.Load(); n != 0 {
					t.Errorf("%d connections broke", n)
				}
			})
			eventually(t, "the push's series are the scrape's", func() error {
				scraped, pushed := prom.series("websocket"), prom.series("otelws-demo")
				if len(scraped) < 100 {
					return fmt.Errorf("only %d series", len(scraped))
				}
				return difference(scraped, pushed)
			})
			t.Logf("%d series agree", len(prom.series("websocket")))
			if n := len(prom.query(`ws_connections_active{job="websocket", instance="ws-17:` + port + `"}`)); n == 0 {
				t.Error("the machine's name is not in the instance that the Collector scrapes")
			}
			if got := len(prom.query(`target_info{job="otelws-demo", instance="demo-1", deployment_environment_name=""}`)); got != 1 {
				t.Errorf("%d target_info of the pushing instance, want 1", got)
			}
		})
	}
}

// series returns the values of the job's WebSocket series, by name and labels,
// without the labels that describe the way of the data.
func (p prometheus) series(job string) map[string]float64 {
	p.t.Helper()
	series := map[string]float64{}
	for _, sample := range p.query(`{__name__=~"ws_.+", job="` + job + `"}`) {
		labels := sample.Metric.Clone()
		for _, name := range []model.LabelName{"job", "instance"} {
			delete(labels, name)
		}
		maps.DeleteFunc(labels, func(name model.LabelName, _ model.LabelValue) bool {
			return strings.HasPrefix(string(name), "otel_scope_")
		})
		// A scraped 64 may be stored as 64.0.
		if le, err := strconv.ParseFloat(string(labels["le"]), 64); err == nil {
			labels["le"] = model.LabelValue(fmt.Sprint(le))
		}
		series[labels.String()] = float64(sample.Value)
	}
	return series
}

// difference describes how two sets of series differ.
func difference(a, b map[string]float64) error {
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if other, ok := b[name]; !ok {
			differ = append(differ, "only scraped: "+name)
		} else if other != a[name] {
			differ = append(differ, fmt.Sprintf("%s: %v scraped, %v pushed", name, a[name], other))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[name]; !ok {
			differ = append(differ, "only pushed: "+name)
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("%d differ:\n%s", len(differ), strings.Join(differ[:min(len(differ), 10)], "\n"))
	}
	return nil
}

// While the Collector is down, the connections stay open. Its data of that time
// arrives when it is back.
func TestCollectorIsAway(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	s.Edit, s.DemoEnv = scrapeNoDemo, push
	must(s.Prometheus(t.Context()))(t)
	collector := must(s.Collector(t.Context(), "collector"))(t)
	demo := must(s.Demo(t.Context(), 0))(t)
	prom := ask(t, s.At.Prometheus)
	var broken atomic.Int64
	for range 50 {
		talk(t, s.At.Demos[0].WebSocket, 1000, &broken)
	}
	before := prom.await(`ws_message_bytes_count`, above(500))
	memory := resident(t, demo.PID())

	collector.Kill()
	// The store keeps the last pushed value while the Collector is down, and the
	// scrape of the demo continues.
	away := before + 10_000
	eventually(t, "messages while the Collector is away", func() error {
		if n := scraped(t, s.At.Demos[0].Metrics, "ws_message_bytes_count"); n < away {
			return fmt.Errorf("%v of %v messages", n, away)
		}
		return nil
	})
	if n := resident(t, demo.PID()); n > memory+32<<20 {
		t.Errorf("resident memory grew from %d MiB to %d MiB", memory>>20, n>>20)
	}
	must(s.Collector(t.Context(), "collector-2"))(t)
	prom.await(`ws_message_bytes_count`, func(v float64) bool { return v >= away })
	if n := broken.Load(); n != 0 {
		t.Errorf("%d connections broke", n)
	}
	check(t, demo.Stop()) // before the Collector, which receives the demo's last push
}

// scraped returns the value of a sample without labels in the demo's scrape.
func scraped(t testing.TB, address, name string) float64 {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/metrics", nil))(t)
	resp := must(http.DefaultClient.Do(req))(t)
	defer resp.Body.Close()
	text := must(io.ReadAll(resp.Body))(t)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return must(strconv.ParseFloat(value, 64))(t)
		}
	}
	t.Fatalf("no %s in\n%s", name, text)
	return 0
}

// resident returns the resident memory of a process in bytes.
func resident(t testing.TB, pid int) int64 {
	t.Helper()
	out := must(exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output())(t)
	return must(strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64))(t) << 10
}
