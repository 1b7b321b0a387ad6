package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	otel "github.com/open-telemetry/opentelemetry-operator/apis/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The agent scrapes each server of its node once, and gives each an instance of its own. The
// Collector is the real one, and the API that tells it about the pods is not.
func TestAgentDiscoversPods(t *testing.T) {
	port := closedPort(t)
	named := map[string]string{"app.kubernetes.io/name": "chat"}
	pod := func(namespace, name, ip string, labels map[string]string, containers, inits []corev1.Container) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels, Annotations: map[string]string{"prometheus.io/scrape": "true"}},
			Spec:       corev1.PodSpec{NodeName: "node-1", Containers: containers, InitContainers: inits},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}},
		}
	}
	container := func(name string) []corev1.Container {
		return []corev1.Container{{Name: name, Ports: []corev1.ContainerPort{
			{Name: "websocket", ContainerPort: 8080, Protocol: corev1.ProtocolTCP},
			{Name: "metrics", ContainerPort: int32(port), Protocol: corev1.ProtocolTCP},
		}}}
	}
	backend := []corev1.Container{{Name: "backend"}}
	ended := pod("chat", "ended", "127.0.0.9", named, container("server"), nil)
	ended.Status.Phase = corev1.PodSucceeded
	unasked := pod("chat", "unasked", "127.0.0.8", named, container("server"), nil)
	unasked.Annotations = nil
	api := fakeAPI(t, []corev1.Pod{
		pod("chat", "a", "127.0.0.1", named, container("server"), nil),
		pod("other", "a", "127.0.0.2", named, container("server"), nil),
		pod("chat", "ipv6", "::1", named, container("server"), nil),
		pod("chat", "sidecar", "127.0.0.3", named, backend, container("otelws")),
		pod("chat", "migrated", "127.0.0.4", named, container("server"), container("migrate")),
		pod("chat", "unnamed", "127.0.0.5", nil, container("server"), nil),
		ended, unasked,
	})

	targets, receiver := receiveTargets(t)
	runAgent(t, api, receiver)
	want := make(map[string]bool)
	for _, format := range []string{
		"chat chat/a:%d namespace=chat node=node-1 pod=a",
		"chat other/a:%d namespace=other node=node-1 pod=a",
		"chat chat/ipv6:%d namespace=chat node=node-1 pod=ipv6",
		"chat chat/sidecar:%d namespace=chat node=node-1 pod=sidecar",
		"chat chat/migrated:%d namespace=chat node=node-1 pod=migrated",
		"pods chat/unnamed:%d namespace=chat node=node-1 pod=unnamed",
	} {
		want[fmt.Sprintf(format, port)] = true
	}
	// When each has been scraped three times, any other target has been scraped, too.
	scrapes := make(map[string]int)
	deadline := time.After(90 * time.Second)
	for done := false; !done; {
		select {
		case target := <-targets:
			scrapes[target]++
		case <-deadline:
			t.Fatalf("after 90 s, the targets with their scrapes are %v, want %v", scrapes, want)
		}
		done = true
		for target := range want {
			done = done && scrapes[target] >= 3
		}
	}
	for target := range scrapes {
		if !want[target] {
			t.Errorf("the agent also scrapes %s", target)
		}
	}
}

// closedPort returns a port on which nobody listens, so each scrape fails at once.
func closedPort(t *testing.T) int {
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// fakeAPI serves the list of the pods to one client of Kubernetes, and returns its URL.
func fakeAPI(t *testing.T, pods []corev1.Pod) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case query.Get("fieldSelector") != "spec.nodeName=node-1":
			t.Errorf("the agent asks for the pods with %q", query.Get("fieldSelector"))
		case query.Get("sendInitialEvents") != "": // the client asks for a list instead
			http.Error(w, "not supported", http.StatusBadRequest)
		case query.Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			http.NewResponseController(w).Flush()
			<-r.Context().Done() // no pod changes
		default:
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(corev1.PodList{
				TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"},
				ListMeta: metav1.ListMeta{ResourceVersion: "1"},
				Items:    pods,
			})
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// receiveTargets starts a receiver of OTLP over HTTP in JSON, and returns its URL. For each scrape,
// the channel has the target: job, instance and the further labels.
func receiveTargets(t *testing.T) (<-chan string, string) {
	type attributes []struct {
		Key   string
		Value struct{ StringValue string }
	}
	labels := func(of attributes) map[string]string {
		all := make(map[string]string)
		for _, a := range of {
			all[a.Key] = a.Value.StringValue
		}
		return all
	}
	targets := make(chan string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			ResourceMetrics []struct {
				Resource     struct{ Attributes attributes }
				ScopeMetrics []struct {
					Metrics []struct {
						Name  string
						Gauge struct {
							DataPoints []struct{ Attributes attributes }
						}
					}
				}
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		for _, resource := range request.ResourceMetrics {
			of := labels(resource.Resource.Attributes)
			for _, scope := range resource.ScopeMetrics {
				for _, metric := range scope.Metrics {
					for _, point := range metric.Gauge.DataPoints {
						if metric.Name != "up" {
							continue
						}
						target := []string{of["service.name"], of["service.instance.id"]}
						more := labels(point.Attributes)
						for _, name := range slices.Sorted(maps.Keys(more)) {
							target = append(target, name+"="+more[name])
						}
						select {
						case targets <- strings.Join(target, " "):
						case <-r.Context().Done():
						}
					}
				}
			}
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return targets, server.URL
}

// runAgent runs the Collector with the scrapes of the agent, which are more frequent here, until
// the test ends.
func runAgent(t *testing.T, api, receiver string) {
	var text string
	for _, c := range findAll[*otel.OpenTelemetryCollector](build(t, "collector")) {
		if c.Name == "agent" {
			text = must(c.Spec.Config.Yaml())(t)
		}
	}
	var config map[string]any
	check(t, yaml.Unmarshal([]byte(text), &config))
	prometheus := config["receivers"].(map[string]any)["prometheus"]
	scrape := prometheus.(map[string]any)["config"].(map[string]any)["scrape_configs"].([]any)[0].(map[string]any)
	scrape["scrape_interval"], scrape["scrape_timeout"] = "1s", "1s"
	scrape["kubernetes_sd_configs"].([]any)[0].(map[string]any)["api_server"] = api
	type object = map[string]any
	file := filepath.Join(t.TempDir(), "config.yaml")
	check(t, os.WriteFile(file, must(yaml.Marshal(object{
		"receivers": object{"prometheus": prometheus},
		"exporters": object{"otlp_http": object{"endpoint": receiver, "encoding": "json", "compression": "none"}},
		"service": object{
			"pipelines": object{"metrics": object{"receivers": []string{"prometheus"}, "exporters": []string{"otlp_http"}}},
			"telemetry": object{"metrics": object{"level": "none"}},
		},
	}))(t), 0o600))

	cmd := exec.CommandContext(t.Context(), program(t, "otelcol"), "--config", file)
	cmd.Env = append(os.Environ(), "K8S_NODE_NAME=node-1")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	check(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Wait() // the test's context has ended
		if t.Failed() {
			t.Log(log.String())
		}
	})
}
