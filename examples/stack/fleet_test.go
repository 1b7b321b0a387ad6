//go:build unix

package main_test

import (
	"testing"

	"github.com/otelws/otelws-go/examples/stack/internal/binaries"
)

// The configurations of the fleet are valid as they are, and with the variables that
// their headers describe.
func TestFleetConfigurations(t *testing.T) {
	const dir = "../fleet/"
	for name, test := range map[string]struct {
		file string
		env  []string
	}{
		"agent": {"agent.yaml", []string{"NODE_NAME=ws-1"}},
		"agent elsewhere": {"agent.yaml", []string{
			"NODE_NAME=ws-1", "WS_METRICS_TARGETS=[localhost:9091, localhost:9092]",
			"WS_METRICS_INTERVAL=30s", "WS_METRICS_TIMEOUT=20s",
			"GATEWAY_ENDPOINT=dns:///gateway.internal:4317", "QUEUE_DIRECTORY=" + t.TempDir(),
		}},
		"gateway": {"gateway.yaml", nil},
		"gateway elsewhere": {"gateway.yaml", []string{
			"GATEWAY_LISTEN=0.0.0.0:4317", "CONNECTION_AGE=5m",
			"REMOTE_WRITE_ENDPOINT=https://mimir.internal/api/v1/push",
			"REMOTE_WRITE_HEADERS={Authorization: Bearer secret, X-Scope-OrgID: ws}",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tool(t, binaries.Collector, test.env, "validate", "--config", dir+test.file)
		})
	}
	t.Run("prometheus", func(t *testing.T) {
		tool(t, binaries.Promtool, nil, "check", "config", "--agent", dir+"prometheus-agent.yml")
	})
}
