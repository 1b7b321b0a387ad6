package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

func TestDemoPushesWhereAsked(t *testing.T) {
	var mu sync.Mutex
	pushed := map[string][]byte{}
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		pushed[r.URL.Path] = append(pushed[r.URL.Path], body...)
	}))
	defer backend.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL)

	r := startDemo(t, demo{})
	c := r.dial(t, "/echo")
	check(t, c.Close(websocket.StatusNormalClosure, ""))
	check(t, r.stop())
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"ws.connections.closed", "process_open_fds", "otelws-demo"} {
		if !bytes.Contains(pushed["/v1/metrics"], []byte(name)) {
			t.Errorf("%s was not pushed", name)
		}
	}
}

// The command succeeds even if the telemetry backend is down or accepts nothing.
func TestDemoEndsWithoutBackend(t *testing.T) {
	var refused atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refused.Add(1)
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer backend.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL)

	r := startDemo(t, demo{})
	check(t, r.dial(t, "/echo").Close(websocket.StatusNormalClosure, ""))
	if err := r.stop(); err != nil || refused.Load() == 0 {
		t.Errorf("the demo ended with %v, after %d pushes were refused", err, refused.Load())
	}
}

func TestDemoRefusesEnvironment(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")
	var stdout, stderr bytes.Buffer
	if code := run([]string{"demo", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}, &stdout, &stderr); code == 0 || stdout.Len() > 0 {
		t.Errorf("exit code %d, stdout %q", code, stdout.String())
	}
	if line := stderr.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, "OTEL_EXPORTER_OTLP_ENDPOINT") {
		t.Errorf("stderr: %s", line)
	}
}
