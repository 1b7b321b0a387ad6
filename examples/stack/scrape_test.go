//go:build unix

package main_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/otelws/otelws-go/examples/stack/internal/stack"
)

// fast makes Prometheus scrape once a second, and shortens five minutes to 20 s.
const fast = 15

// Two instances are one fleet. One of them is killed, and restarts.
func TestFleetOfTwo(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	first := must(s.Demo(t.Context(), 0, "--heartbeat", "1s"))(t)
	must(s.Demo(t.Context(), 1, "--heartbeat", "1s"))(t)
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	prom.await(`count(count by (instance) (ws_connections_active))`, equals(2))
	prom.await(`sum(ws_connections_closed_total{code="1006"})`, equals(0))

	instance := `instance="` + s.At.Demos[0].Metrics + `"`
	ws := []string{s.At.Demos[0].WebSocket, s.At.Demos[1].WebSocket}
	var broken atomic.Int64 // errors of the killed instance only
	for range 3 {
		talk(t, ws[0], 100, &broken)
	}
	for range 2 {
		talk(t, ws[1], 5000, &broken)
	}
	for range 5 {
		drop(t, ws[0])
	}
	prom.await(`sum(ws_connections_active)`, equals(5))
	prom.await(`sum(ws_connections_active{team="chat"})`, equals(5))

	// The queries of dashboards, with the window for 15 times faster scrapes.
	ask := func(query string) string { return stack.Faster(query, fast) }
	prom.await(ask(`sum(rate(ws_connections_closed_total{code="1006"}[5m]))`), above(0))
	prom.await(ask(`histogram_quantile(0.5, sum by (le) (rate(ws_message_bytes_bucket[5m])))`), func(v float64) bool { return 64 < v && v <= 256 })
	prom.await(ask(`histogram_quantile(0.95, sum by (le) (rate(ws_message_bytes_bucket[5m])))`), func(v float64) bool { return 4096 < v && v <= 16384 })
	for _, query := range []string{
		`rate(ws_connections_closed_total{code="1006"}[5m])`, // the user's own query
		`histogram_quantile(0.95, sum by (le) (rate(ws_message_bytes_bucket[5m])))`,
		`sum by (code) (rate(ws_connections_closed_total[5m]))`,
		`process_open_fds / process_max_fds`,
	} {
		if len(prom.query(query)) == 0 {
			t.Errorf("%s is empty", query)
		}
	}

	// A killed process sends no close frames. Its series become stale with the next
	// scrape.
	abnormal := `ws_connections_closed_total{code="1006", ` + instance
	closed := prom.await(`sum(`+abnormal+`})`, equals(5))
	if n := broken.Load(); n != 0 {
		t.Errorf("%d connections broke", n)
	}
	first.Kill()
	prom.await(`up{`+instance+`}`, equals(0))
	prom.await(`sum(ws_connections_active)`, equals(2))
	if v := prom.query(`ws_connections_active{` + instance + `}`); len(v) != 0 {
		t.Errorf("series of the dead instance: %v", v)
	}

	// It restarts with counters at 0. The rates must not be negative, and must not
	// jump.
	must(s.Demo(t.Context(), 0, "--heartbeat", "1s"))(t)
	prom.await(`sum(ws_connections_active{`+instance+`})`, equals(0))
	prom.await(`sum(ws_connections_active)`, equals(2))
	for range 2 {
		drop(t, ws[0])
	}
	prom.await(`sum(`+abnormal+`})`, equals(2))
	prom.await(`max(resets(`+abnormal+`}[10m]))`, equals(1))
	// The counters go from 0 to 5, and from 0 to 2.
	increase := prom.await(`sum(increase(`+abnormal+`}[10m]))`, above(0))
	if increase < closed || increase > 1.5*(closed+2) {
		t.Errorf("increase over the restart: %v, want about %v", increase, closed+2)
	}
}

// Clients that vanish trigger the alert in rules.yml, and the alert ends when they
// stop. Its window and its waiting time are 15 times shorter here.
func TestAbnormalClosuresAreAlerted(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	must(s.Demo(t.Context(), 0))(t)
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	prom.await(`sum(ws_connections_closed_total)`, equals(0))
	state := func() string {
		for _, sample := range prom.query(`ALERTS{alertname="WebSocketAbnormalClosures", job="websocket"}`) {
			return string(sample.Metric["alertstate"])
		}
		return "inactive"
	}
	become := func(want string, meanwhile func()) {
		t.Helper()
		eventually(t, "the alert is "+want, func() error {
			meanwhile()
			if got := state(); got != want {
				return fmt.Errorf("it is %s", got)
			}
			return nil
		})
	}
	behave := func() { visit(t, s.At.Demos[0].WebSocket) }
	for range 20 {
		behave()
	}
	if got := state(); got != "inactive" {
		t.Fatalf("the alert is %s without an abrupt end", got)
	}
	become("pending", func() { drop(t, s.At.Demos[0].WebSocket) })
	become("firing", func() { drop(t, s.At.Demos[0].WebSocket) })
	alerts, err := prom.Alerts(t.Context())
	check(t, err)
	for _, alert := range alerts.Alerts {
		if alert.Labels["alertname"] == "WebSocketAbnormalClosures" {
			t.Logf("%s: %s", alert.State, alert.Annotations["summary"])
			if alert.Labels["severity"] != model.LabelValue("warning") {
				t.Errorf("labels %v", alert.Labels)
			}
		}
	}
	become("inactive", behave)
}
