//go:build unix

package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelws/otelws-go/examples/stack/internal/stack"
)

// secure protects the demos' metrics with TLS and a password, in files in the stack's
// directory. It returns the flags for the demos.
func secure(t *testing.T, s *stack.Stack, ca *authority) []string {
	t.Helper()
	cert, key := ca.issue(t)
	hash := must(bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost))(t)
	for name, text := range map[string]string{
		"ca.crt":     string(ca.certificate()),
		"server.crt": string(cert),
		"server.key": string(key),
		"password":   "secret",
		"web.yml": fmt.Sprintf("tls_server_config: { cert_file: server.crt, key_file: server.key }\n"+
			"basic_auth_users: { prometheus: %s }\n", hash),
	} {
		check(t, os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600))
	}
	return []string{"--web.config.file", filepath.Join(s.Dir, "web.yml")}
}

// statusOf returns the status of the metrics listener for a client that trusts the
// authority.
func statusOf(t *testing.T, ca *authority, address, user, password string) int {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	req := must(http.NewRequestWithContext(t.Context(), "GET", "https://"+address+"/metrics", nil))(t)
	req.SetBasicAuth(user, password)
	resp := must((&http.Client{Transport: transport}).Do(req))(t)
	resp.Body.Close()
	return resp.StatusCode
}

// Prometheus scrapes with the three commented lines of prometheus.yml.
func TestPrometheusWithTLSAndPassword(t *testing.T) {
	t.Parallel()
	s, ca := newStack(t, fast), newAuthority(t)
	flags := secure(t, s, ca)
	s.Edit = func(text string) string {
		for _, field := range []string{"scheme: https", "tls_config:", "basic_auth:"} {
			commented := "    # " + field
			if strings.Contains(text, "scrape_configs:") && !strings.Contains(text, commented) {
				t.Errorf("prometheus.yml has no line %q", commented)
			}
			text = strings.Replace(text, commented, "    "+field, 1)
		}
		return text
	}
	must(s.Demo(t.Context(), 0, flags...))(t)
	must(s.Demo(t.Context(), 1))(t) // does not use TLS
	if got := statusOf(t, ca, s.At.Demos[0].Metrics, "prometheus", "wrong"); got != http.StatusUnauthorized {
		t.Errorf("with a wrong password: status %d", got)
	}
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	prom.await(`up{instance="`+s.At.Demos[0].Metrics+`"}`, equals(1))
	prom.await(`up{instance="`+s.At.Demos[1].Metrics+`"}`, equals(0))
	prom.await(`count(count by (instance) (ws_connections_active))`, equals(1))
}

// The Collector scrapes with the variables of otel-collector.yaml.
func TestCollectorWithTLSAndPassword(t *testing.T) {
	t.Parallel()
	s, ca := newStack(t, fast), newAuthority(t)
	flags := secure(t, s, ca)
	must(s.Demo(t.Context(), 0, flags...))(t)
	s.Edit = scrapeNoDemo
	must(s.Prometheus(t.Context()))(t)
	must(s.Collector(t.Context(), "collector",
		"WS_METRICS_TARGETS=["+s.At.Demos[0].Metrics+"]",
		"WS_METRICS_SCHEME=https",
		"WS_METRICS_CA_FILE="+filepath.Join(s.Dir, "ca.crt"),
		"WS_METRICS_BASIC_AUTH={username: prometheus, password_file: "+filepath.Join(s.Dir, "password")+"}",
		"WS_METRICS_INTERVAL=1s", "WS_METRICS_TIMEOUT=1s",
	))(t)
	prom := ask(t, s.At.Prometheus)
	prom.await(`up{job="websocket", instance="`+s.At.Demos[0].Metrics+`"}`, equals(1))
	prom.await(`count(count by (instance) (ws_connections_active))`, equals(1))
}

// scrapeNoDemo leaves the scraping of the WebSocket servers to the Collector.
func scrapeNoDemo(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(lines[max(0, i-1)], "    static_configs:") && strings.Contains(line, ", ") {
			lines[i] = "      - targets: []"
		}
	}
	return strings.Join(lines, "\n")
}
