package otelws_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/otelws/otelws-go"

// Imports go in one direction. So a user's build links the SDK only with exporter, and
// never gorilla/websocket and gobwas/ws.
func TestImports(t *testing.T) {
	tests := []struct {
		pkg    string
		never  []string // import paths that the package must not reach, nor anything below them
		reason string
	}{
		{"otelws", []string{module + "/exporter", module + "/cmd", module + "/examples"}, "otelws knows no exporter"},
		{"otelws", []string{"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters", "github.com/prometheus"}, "otelws imports the API only"},
		{"tracing", []string{module + "/otelws", module + "/exporter", module + "/cmd", module + "/examples", "go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/exporters", "github.com/prometheus"}, "tracing imports the API only"},
		{"exporter", []string{module + "/otelws", module + "/tracing", "github.com/coder/websocket"}, "exporter knows nothing of WebSockets"},
		{"exporter", []string{"google.golang.org/grpc", "go.opentelemetry.io/otel/exporters/otlp"}, "a program that wants Prometheus alone links no gRPC"},
		{"exporter/counted", []string{module, "google.golang.org/grpc", "github.com/prometheus", "github.com/coder/websocket"}, "counted histograms need the SDK alone"},
		{"exporter/otlp", []string{module + "/otelws", module + "/tracing", "github.com/coder/websocket"}, "exporter knows nothing of WebSockets"},
		{"exporter/sampling", []string{module, "google.golang.org/grpc", "github.com/prometheus", "github.com/coder/websocket"}, "a sampler needs the SDK alone"},
		{"cmd/otelws", []string{"github.com/gorilla/websocket", "github.com/gobwas"}, "other WebSocket libraries are for tests"},
	}
	var pkgs []string
	for _, tt := range tests {
		pkgs = append(pkgs, module+"/"+tt.pkg)
	}
	all := dependencies(t, pkgs)
	for _, tt := range tests {
		deps := all[module+"/"+tt.pkg]
		if len(deps) == 0 {
			t.Errorf("%s has no dependencies", tt.pkg)
		}
		for _, never := range tt.never {
			i := slices.IndexFunc(deps, func(d string) bool { return d != module+"/"+tt.pkg && (d == never || strings.HasPrefix(d, never+"/")) })
			if i >= 0 {
				t.Errorf("%s depends on %s: %s", tt.pkg, deps[i], tt.reason)
			}
		}
	}
}

// dependencies returns the import paths that each package depends on.
func dependencies(t *testing.T, pkgs []string) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-f", `{{.ImportPath}} {{join .Deps " "}}`}, pkgs...)...).Output()
	if err != nil {
		t.Fatalf("failed to list the dependencies: %v", err)
	}
	deps := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		deps[f[0]] = f[1:]
	}
	return deps
}
