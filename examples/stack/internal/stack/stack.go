//go:build unix

// Package stack runs Prometheus, the Collector, Jaeger and instances of the demo on
// loopback. The working directory must be the directory of the module, which contains
// the configurations.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
	"github.com/otelws/otelws-go/examples/stack/internal/process"
)

// Stack holds the settings of all parts. Its methods may be called concurrently. Each
// returns when its part is ready.
type Stack struct {
	Dir      string    // directory of configurations, data and logs
	At       Addresses // addresses of the parts
	Speed    int       // divisor of Prometheus's intervals; 1 leaves them unchanged
	DemoPath string    // the result of BuildDemo
	Progress io.Writer // receives the progress of builds and of Start

	// Traces makes the demos send their traces to the Collector.
	Traces bool
	// DemoEnv is added to the environment of the demos.
	DemoEnv []string
	// Edit, if not nil, changes prometheus.yml and rules.yml before their use.
	Edit func(text string) string

	mu      sync.Mutex
	started []*process.Process
}

// Processes returns the started processes, in the order of their start.
func (s *Stack) Processes() []*process.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.started)
}

// Stop ends the running processes, in reverse order of their start.
func (s *Stack) Stop() error {
	var errs []error
	for _, p := range slices.Backward(s.Processes()) {
		select {
		case <-p.Done(): // it has ended already, which was reported
		default:
			errs = append(errs, p.Stop())
		}
	}
	return errors.Join(errs...)
}

// Prometheus starts Prometheus. It scrapes the demos, and receives remote write and
// OTLP.
func (s *Stack) Prometheus(ctx context.Context, args ...string) (*process.Process, error) {
	config, err := s.writePrometheusConfig()
	if err != nil {
		return nil, err
	}
	return s.run(ctx, part{
		name:   "prometheus",
		binary: binaries.Prometheus,
		args: append([]string{
			"--config.file=" + config,
			"--storage.tsdb.path=" + filepath.Join(s.Dir, "prometheus"),
			"--web.listen-address=" + s.At.Prometheus,
			"--web.enable-remote-write-receiver",
			"--web.enable-otlp-receiver",
			"--enable-feature=exemplar-storage",
		}, args...),
		ready: "http://" + s.At.Prometheus + "/-/ready",
	})
}

// Collector starts the Collector. It sends traces to Jaeger and metrics to
// Prometheus. It scrapes nothing unless env says so, because Prometheus scrapes.
func (s *Stack) Collector(ctx context.Context, name string, env ...string) (*process.Process, error) {
	config, err := filepath.Abs(collectorConfig)
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(s.At.CollectorMetrics, ":")
	return s.run(ctx, part{
		name:   name,
		binary: binaries.Collector,
		args:   []string{"--config", config},
		env: append([]string{
			"OTLP_GRPC_ENDPOINT=" + s.At.CollectorGRPC,
			"OTLP_HTTP_ENDPOINT=" + s.At.CollectorHTTP,
			"HEALTH_CHECK_ENDPOINT=" + s.At.CollectorHealth,
			"COLLECTOR_METRICS_HOST=" + host,
			"COLLECTOR_METRICS_PORT=" + port,
			"REMOTE_WRITE_ENDPOINT=http://" + s.At.Prometheus + "/api/v1/write",
			"METRICS_OTLP_ENDPOINT=http://" + s.At.Prometheus + "/api/v1/otlp",
			"TRACES_OTLP_ENDPOINT=" + s.At.JaegerOTLP,
			"WS_METRICS_TARGETS=[]",
		}, env...),
		ready: "http://" + s.At.CollectorHealth + "/",
	})
}

// Jaeger starts Jaeger, which keeps its traces in memory.
func (s *Stack) Jaeger(ctx context.Context) (*process.Process, error) {
	config, err := filepath.Abs(filepath.Join(configDir, "jaeger.yaml"))
	if err != nil {
		return nil, err
	}
	return s.run(ctx, part{
		name:   "jaeger",
		binary: binaries.Jaeger,
		args:   []string{"--config", config},
		env: []string{
			"JAEGER_QUERY_ENDPOINT=" + s.At.Jaeger,
			"JAEGER_QUERY_GRPC_ENDPOINT=" + s.At.JaegerGRPC,
			"JAEGER_OTLP_ENDPOINT=" + s.At.JaegerOTLP,
		},
		ready: "http://" + s.At.Jaeger + "/",
	})
}

// Demo starts instance i of otelws demo. Its metrics are scraped, and it pushes its
// traces if there is a Collector.
func (s *Stack) Demo(ctx context.Context, i int, args ...string) (*process.Process, error) {
	at := s.At.Demos[i]
	name := demoName(i)
	env := []string{"OTEL_RESOURCE_ATTRIBUTES=service.instance.id=" + name}
	if s.Traces {
		env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+s.At.CollectorHTTP, "OTEL_METRICS_EXPORTER=none")
	}
	return s.run(ctx, part{
		name:  name,
		path:  s.DemoPath,
		args:  append([]string{"demo", "--listen", at.WebSocket, "--metrics", at.Metrics}, args...),
		env:   append(env, s.DemoEnv...),
		ready: "http://" + at.Metrics + "/-/healthy",
	})
}

// LastDemo returns the last started demo, or nil.
func (s *Stack) LastDemo() *process.Process {
	for _, p := range slices.Backward(s.Processes()) {
		if strings.HasPrefix(p.Name, "demo-") {
			return p
		}
	}
	return nil
}

func demoName(i int) string { return fmt.Sprintf("demo-%d", i+1) }

// stopDemos ends the running demos, and forgets them.
func (s *Stack) stopDemos() error {
	var errs []error
	for i := range s.At.Demos {
		for _, p := range s.Processes() {
			if p.Name == demoName(i) {
				errs = append(errs, p.Stop())
				s.forget(p)
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Stack) forget(p *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = slices.DeleteFunc(s.started, func(other *process.Process) bool { return other == p })
}

// BuildDemo builds otelws from the parent module, in the absolute path dir.
func BuildDemo(ctx context.Context, dir string) (path string, err error) {
	module, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "otelws")
	cmd := exec.Command("go", "build", "-C", module, "-o", path, "./cmd/otelws")
	cmd.Dir = dir
	if _, err := process.Output(ctx, cmd); err != nil {
		return "", fmt.Errorf("failed to build otelws, run this in examples/stack: %w", err)
	}
	return path, nil
}

// part is a program that is started, and is ready when its URL answers.
type part struct {
	name      string
	binary    binaries.Binary
	path      string // used instead of binary
	env, args []string
	ready     string
}

func (s *Stack) run(ctx context.Context, part part) (*process.Process, error) {
	path := part.path
	if path == "" {
		var err error
		if path, err = part.binary.Path(ctx, s.Progress); err != nil {
			return nil, err
		}
	}
	p, err := process.Start(s.Dir, part.name, path, part.env, part.args)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.started = append(s.started, p)
	s.mu.Unlock()
	return p, p.Ready(ctx, func(ctx context.Context) error { return answers(ctx, part.ready) })
}

func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	// 401 or 400 means that the part is up, and requires a password or TLS.
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
