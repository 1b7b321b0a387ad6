//go:build unix

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
	"github.com/otelws/otelws-go/examples/stack/internal/process"
	"github.com/otelws/otelws-go/examples/stack/internal/stack"
)

// load opens three connections to the first instance and two to the second, which
// send messages until the test ends. It also opens and closes ten connections to each
// instance.
func load(t *testing.T, s *stack.Stack) {
	t.Helper()
	var broken atomic.Int64
	for i, connections := range []int{3, 2} {
		for range connections {
			talk(t, s.At.Demos[i].WebSocket, 100, &broken)
		}
		for range 10 {
			drop(t, s.At.Demos[i].WebSocket)
		}
	}
}

// agree waits until two selectors select the same sums and the same rates, of two
// instances each.
func (p prometheus) agree(a, b string) {
	p.t.Helper()
	for _, selector := range []string{a, b} {
		p.await(`count(count by (instance) (ws_connections_active{`+selector+`}))`, equals(2))
		p.await(`sum(ws_connections_active{`+selector+`})`, equals(5))
		p.await(`sum(ws_connections_closed_total{code="1006", `+selector+`})`, equals(20))
	}
	for _, counter := range []string{"ws_message_bytes_count", "ws_io_bytes_total"} {
		rate := func(selector string) string { return `sum(rate(` + counter + `{` + selector + `}[20s]))` }
		p.await(rate(a)+` / `+rate(b), func(v float64) bool { return 0.9 < v && v < 1.1 })
	}
}

// Two instances push, with only the endpoint and the test's interval set. Prometheus
// stores the same from the pushes as from the scrapes, directly and through a
// Collector, also if it converts to deltas.
func TestPushingInstancesAreToldApart(t *testing.T) {
	for way, collector := range map[string][]string{
		"straight":     nil,
		"remote write": {"METRICS_EXPORTER=prometheus_remote_write"},
		"OTLP":         {"METRICS_EXPORTER=otlp_http/metrics"},
		"deltas":       {"METRICS_EXPORTER=otlp_http/metrics", "METRICS_PROCESSORS=[memory_limiter, resource, cumulativetodelta]"},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, fast)
			endpoint := "http://" + s.At.Prometheus + "/api/v1/otlp/v1/metrics"
			must(s.Prometheus(t.Context(), "--enable-feature=otlp-deltatocumulative"))(t)
			if collector != nil {
				endpoint = "http://" + s.At.CollectorHTTP + "/v1/metrics"
				must(s.Collector(t.Context(), "collector", collector...))(t)
			}
			s.DemoEnv = []string{
				"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + endpoint, "OTEL_METRIC_EXPORT_INTERVAL=1000",
				"OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_METRICS_EXPORTER=", "OTEL_RESOURCE_ATTRIBUTES=",
			}
			for i := range s.At.Demos {
				must(s.Demo(t.Context(), i))(t)
			}
			prom := ask(t, s.At.Prometheus)
			for _, job := range []string{"otelws-demo", "websocket"} { // from the first sample
				prom.await(`count(count by (instance) (ws_connections_opened_total{job="`+job+`"}))`, equals(2))
			}
			load(t, s)
			prom.agree(`job="otelws-demo"`, `job="websocket"`)
			for _, target := range prom.query(`target_info{job="otelws-demo"}`) {
				if v, ok := target.Metric["deployment_environment_name"]; ok {
					t.Errorf("somebody gave an instance the environment %q", v)
				}
			}
		})
	}
}

// Two pods of one node listen on the same port. The agent, a gateway and the store
// keep them apart.
func TestAgentKeepsPodsApart(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	s.At.Demos[0].Metrics, s.At.Demos[1].Metrics = samePort(t)
	must(s.Prometheus(t.Context()))(t)
	// Jaeger does not run here, so the gateway can use its ports. They were free at
	// the same time as the others.
	gateway := stack.Addresses{CollectorGRPC: s.At.JaegerOTLP, CollectorHealth: s.At.Jaeger, CollectorMetrics: s.At.JaegerGRPC}
	collector(t, s, "gateway", gateway, "../fleet/gateway.yaml",
		"GATEWAY_LISTEN="+gateway.CollectorGRPC, "REMOTE_WRITE_ENDPOINT=http://"+s.At.Prometheus+"/api/v1/write")
	collector(t, s, "agent", s.At, "../fleet/agent.yaml",
		"NODE_NAME=ws-17", "GATEWAY_ENDPOINT="+gateway.CollectorGRPC, "GATEWAY_INSECURE=true",
		"WS_METRICS_TARGETS=["+s.At.Demos[0].Metrics+", "+s.At.Demos[1].Metrics+"]",
		"WS_METRICS_INTERVAL=1s", "WS_METRICS_TIMEOUT=1s",
		"QUEUE_DIRECTORY="+filepath.Join(s.Dir, "queue"))
	for i := range s.At.Demos {
		must(s.Demo(t.Context(), i))(t)
	}
	load(t, s)
	prom := ask(t, s.At.Prometheus)
	prom.agree(`job="websocket", instance=~"ws-17[:/].+"`, `job="websocket", instance=~"127.+"`)
	_, port, _ := net.SplitHostPort(s.At.Demos[0].Metrics)
	for _, instance := range []string{"ws-17:" + port, "ws-17/127.0.0.2:" + port} {
		prom.await(`count(count by (instance) (ws_connections_active{instance="`+instance+`"}))`, equals(1))
	}
}

// Instances that push without a service.instance.id are distinguished by their pod,
// in any language. An instance without an environment gets one.
func TestCollectorTellsPodsApart(t *testing.T) {
	t.Parallel()
	s := newStack(t, fast)
	s.Edit = scrapeNoDemo
	must(s.Prometheus(t.Context()))(t)
	must(s.Collector(t.Context(), "collector", "DEPLOYMENT_ENVIRONMENT=production"))(t)
	prom := ask(t, s.At.Prometheus)
	const metrics = `{"resourceMetrics":[{"resource":{"attributes":[
		{"key":"service.name","value":{"stringValue":"legacy"}},{"key":%q,"value":{"stringValue":%q}}]},
		"scopeMetrics":[{"metrics":[{"name":"legacy.queue","gauge":{"dataPoints":[{"asInt":"7","timeUnixNano":"%d"}]}}]}]}]}`
	for key, value := range map[string]string{"k8s.pod.uid": "pod-1", "service.instance.id": "own-1", "host.name": "host-1"} {
		eventually(t, value+" is an instance", func() error {
			body := fmt.Sprintf(metrics, key, value, time.Now().UnixNano())
			resp, err := http.Post("http://"+s.At.CollectorHTTP+"/v1/metrics", "application/json", strings.NewReader(body))
			if err != nil {
				return err
			}
			resp.Body.Close()
			if n := len(prom.query(`legacy_queue{job="legacy", instance="` + value + `"} == 7`)); n != 1 {
				return fmt.Errorf("%s, %d series", resp.Status, n)
			}
			return nil
		})
	}
	prom.await(`count(target_info{job="legacy", deployment_environment_name="production"})`, equals(3))
}

// samePort returns two loopback addresses with the same free port.
func samePort(t *testing.T) (a, b string) {
	t.Helper()
	eventually(t, "a port that is free on two addresses", func() error {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer first.Close()
		_, port, _ := net.SplitHostPort(first.Addr().String())
		a, b = "127.0.0.1:"+port, "127.0.0.2:"+port
		second, err := net.Listen("tcp", b)
		if err != nil {
			return err
		}
		return second.Close()
	})
	return a, b
}

// collector runs a Collector with another configuration than otel-collector.yaml.
func collector(t *testing.T, s *stack.Stack, name string, at stack.Addresses, config string, env ...string) {
	t.Helper()
	path := must(binaries.Collector.Path(t.Context(), os.Stderr))(t)
	config = must(filepath.Abs(config))(t)
	host, port, _ := strings.Cut(at.CollectorMetrics, ":")
	env = append(env, "OTLP_GRPC_ENDPOINT="+at.CollectorGRPC, "OTLP_HTTP_ENDPOINT="+at.CollectorHTTP,
		"HEALTH_CHECK_ENDPOINT="+at.CollectorHealth, "COLLECTOR_METRICS_HOST="+host, "COLLECTOR_METRICS_PORT="+port)
	p := must(process.Start(s.Dir, name, path, env, []string{"--config", config}))(t)
	t.Cleanup(func() { check(t, p.Stop()) })
	eventually(t, name+" is ready", func() error {
		resp, err := http.Get("http://" + at.CollectorHealth + "/")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", resp.Status)
		}
		return nil
	})
}
