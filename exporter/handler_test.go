package exporter_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelws/otelws-go/exporter"
)

func TestRoutes(t *testing.T) {
	url := serveHandler(t, newExporter(t))
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/metrics", 200, "# HELP "},
		{"HEAD", "/metrics", 200, ""},
		{"GET", "/", 200, `href="/metrics"`},
		{"GET", "/", 200, `href="/-/healthy"`},
		{"GET", "/-/healthy", 200, "Healthy."},
		{"HEAD", "/-/healthy", 200, ""},
		{"GET", "/metrics/", 404, ""},
		{"GET", "//metrics", 404, ""},
		{"GET", "/x/../metrics", 404, ""},
		{"GET", "/index.html", 404, ""},
		{"GET", "/-/ready", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"POST", "/nothing", 404, ""},
		{"POST", "/metrics", 405, ""},
		{"DELETE", "/", 405, ""},
		{"PUT", "/-/healthy", 405, ""},
	} {
		resp := do(t, tt.method, url+tt.path)
		if resp.status != tt.status || !strings.Contains(resp.body, tt.body) {
			t.Errorf("%s %s: status %d, body %.80q; want %d and %q", tt.method, tt.path, resp.status, resp.body, tt.status, tt.body)
		}
		if tt.status == 405 && resp.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, resp.header.Get("Allow"))
		}
	}
}

func TestReadiness(t *testing.T) {
	status := http.StatusServiceUnavailable
	ready := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	url := serveHandler(t, newExporter(t, exporter.WithReadiness(ready)))
	for _, status = range []int{http.StatusServiceUnavailable, http.StatusOK} {
		if got := do(t, "GET", url+"/-/ready").status; got != status {
			t.Errorf("status %d, want %d", got, status)
		}
	}
	if got := do(t, "POST", url+"/-/ready").status; got != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d, want 405", got)
	}
	if !strings.Contains(do(t, "GET", url+"/").body, `href="/-/ready"`) {
		t.Error("the landing page does not link to it")
	}
}

func TestLandingPageNamesService(t *testing.T) {
	body := do(t, "GET", serveHandler(t, newExporter(t))+"/").body
	if !strings.Contains(body, "<h1>shop</h1>") || !strings.Contains(body, "1.2.3") {
		t.Errorf("landing page lacks the service's name or version:\n%s", body)
	}
	if strings.Contains(body, "debug/pprof") {
		t.Error("landing page links to profiles that are not served")
	}

	exp := newExporter(t, exporter.WithResource(resource.NewSchemaless(attribute.String("service.name", "<script>"))))
	if body := do(t, "GET", serveHandler(t, exp)+"/").body; strings.Contains(body, "<script>") {
		t.Errorf("landing page does not escape the service's name:\n%s", body)
	}
}

func TestGzip(t *testing.T) {
	url := serveHandler(t, newExporter(t))
	plain := do(t, "GET", url+"/metrics")
	zipped := do(t, "GET", url+"/metrics", "Accept-Encoding", "gzip")
	if got := plain.header.Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding %q, not asked for", got)
	}
	if got := zipped.header.Get("Content-Encoding"); got != "gzip" {
		t.Errorf("Content-Encoding %q, want gzip", got)
	}
	wantSeries(t, zipped.body, "target_info{", "go_goroutines ")
}

func TestMaxScrapes(t *testing.T) {
	g := newGate()
	defer g.open()
	url := serveHandler(t, newExporter(t, exporter.WithMaxScrapes(1), exporter.WithCollector(g)))
	first := goDo(t, "GET", url+"/metrics")
	g.waitEntered(t)

	if resp := do(t, "GET", url+"/metrics"); resp.status != http.StatusServiceUnavailable {
		t.Errorf("second scrape at once: status %d, want 503", resp.status)
	}
	if resp := do(t, "GET", url+"/-/healthy"); resp.status != http.StatusOK {
		t.Errorf("/-/healthy during a scrape: status %d", resp.status)
	}
	g.open()
	if resp := <-first; resp.status != http.StatusOK {
		t.Errorf("first scrape: status %d", resp.status)
	}
	wantSeries(t, scrape(t, url, textAccept), "gate_passed 1", `promhttp_metric_handler_requests_total{code="503"} 1`)
}

func TestScrapeTimeout(t *testing.T) {
	g := newGate()
	defer g.open()
	url := serveHandler(t, newExporter(t, exporter.WithScrapeTimeout(200*time.Millisecond), exporter.WithCollector(g)))
	resp := do(t, "GET", url+"/metrics")
	if resp.status != http.StatusServiceUnavailable || !strings.Contains(resp.body, "200ms") {
		t.Errorf("blocked scrape: status %d, body %q; want 503 and the timeout", resp.status, resp.body)
	}
	g.open()
	waitFor(t, "a scrape after the blocked one", func() bool {
		resp = do(t, "GET", url+"/metrics")
		return resp.status == http.StatusOK
	})
	wantSeries(t, resp.body, "gate_passed 1", "target_info{")
}
