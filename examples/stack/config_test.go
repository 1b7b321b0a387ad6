//go:build unix

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
)

// tool runs a program, and fails the test with its output if it fails.
func tool(t *testing.T, b binaries.Binary, env []string, args ...string) string {
	t.Helper()
	path, err := b.Path(t.Context(), os.Stderr)
	check(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func TestConfigurationsAreValid(t *testing.T) {
	tool(t, binaries.Promtool, nil, "check", "config", "config/prometheus.yml")
	tool(t, binaries.Promtool, nil, "check", "rules", "--lint=all", "--lint-fatal", "config/rules.yml")
	tool(t, binaries.Jaeger, nil, "validate", "--config", "config/jaeger.yaml")
}

// With VictoriaMetrics, vmalert evaluates the rules without native histograms,
// because MetricsQL lacks their functions.
func TestVMAlertTakesTheRules(t *testing.T) {
	dir := t.TempDir()
	render := exec.Command("go", "run", ".", "-config", "nativeHistograms: false", "-o", dir)
	render.Dir = "../mixin"
	if out, err := render.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tool(t, binaries.VMAlert, nil, "-dryRun", "-rule="+filepath.Join(dir, "rules.yml"))
}

// The Collector's configuration is valid as it is, and with every variable that its
// header describes.
func TestCollectorConfiguration(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.crt")
	check(t, os.WriteFile(ca, newAuthority(t).certificate(), 0o600))
	for name, env := range map[string][]string{
		"as it is": nil,
		"OTLP":     {"METRICS_EXPORTER=otlp_http/metrics"},
		"a pod":    {"LISTEN_HOST=10.0.0.5"},
		"deltas":   {"METRICS_EXPORTER=otlp_http/metrics", "METRICS_PROCESSORS=[memory_limiter, resource, cumulativetodelta]"},
		"elsewhere": {
			"OTLP_GRPC_ENDPOINT=0.0.0.0:4317", "OTLP_HTTP_ENDPOINT=0.0.0.0:4318",
			"WS_METRICS_TARGETS=[ws-1.internal:9091, ws-2.internal:9091]", "WS_METRICS_SCHEME=https",
			"WS_METRICS_CA_FILE=" + ca, "WS_METRICS_BASIC_AUTH={username: prometheus, password: secret}",
			"WS_METRICS_INTERVAL=30s", "WS_METRICS_TIMEOUT=20s",
			"REMOTE_WRITE_ENDPOINT=https://mimir.internal/api/v1/push", "REMOTE_WRITE_HEADERS={Authorization: Bearer secret, X-Scope-OrgID: ws}",
			"METRICS_OTLP_ENDPOINT=https://otlp.internal", "METRICS_OTLP_HEADERS={Authorization: Bearer secret}",
			"TRACES_OTLP_ENDPOINT=tempo.internal:4317", "TRACES_OTLP_INSECURE=false", "TRACES_OTLP_HEADERS={Authorization: Bearer secret}",
			"DEPLOYMENT_ENVIRONMENT=production", "HEALTH_CHECK_ENDPOINT=0.0.0.0:13133", "NODE_NAME=ws-17",
			"COLLECTOR_METRICS_HOST=0.0.0.0", "COLLECTOR_METRICS_PORT=8889",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tool(t, binaries.Collector, env, "validate", "--config", "../../otel-collector.yaml")
		})
	}
}
