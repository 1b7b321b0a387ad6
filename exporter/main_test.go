package exporter_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/exporter"
)

const (
	textAccept        = "text/plain;version=0.0.4"
	openMetricsAccept = "application/openmetrics-text;version=1.0.0"

	// waitLimit is the timeout for events that must happen. Only a failing test waits this long.
	waitLimit = 20 * time.Second
)

var update = flag.Bool("update", false, "write the golden files in testdata")

func TestMain(m *testing.M) {
	// The SDK reads this variable once per process, so it is set here.
	os.Setenv("OTEL_SERVICE_NAME", "shop")
	os.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2.3,tier=from-env")
	goleak.VerifyTestMain(m)
}

func newExporter(t *testing.T, opts ...exporter.Option) *exporter.Exporter {
	t.Helper()
	opts = append([]exporter.Option{exporter.WithLogger(slog.New(slog.DiscardHandler))}, opts...)
	exp, err := exporter.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exp.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return exp
}

// serveHandler serves only the handler, and returns its URL.
func serveHandler(t *testing.T, exp *exporter.Exporter) string {
	t.Helper()
	srv := httptest.NewServer(exp.Handler())
	t.Cleanup(srv.Close)
	return srv.URL
}

// server is an Exporter's own server on a free port. When done is closed, err is what Serve
// returned.
type server struct {
	addr   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func serve(t *testing.T, exp *exporter.Exporter, wrap func(net.Listener) net.Listener) *server {
	t.Helper()
	l := listen(t)
	s := &server{addr: l.Addr().String(), done: make(chan struct{})}
	if wrap != nil {
		l = wrap(l)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.done)
		s.err = exp.Serve(ctx, l)
	}()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop cancels Serve's context and waits for its return.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	select {
	case <-s.done:
		if s.err != nil {
			t.Errorf("Serve: %v", s.err)
		}
	case <-time.After(waitLimit):
		t.Error("Serve did not return")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// newClient returns a client that shares no connection with another test's.
func newClient(t *testing.T, tr *http.Transport) *http.Client {
	t.Helper()
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: waitLimit}
}

type response struct {
	status int
	header http.Header
	body   string
}

// goDo calls do in a new goroutine. A failure has the status 0.
func goDo(t *testing.T, method, url string) <-chan response {
	got := make(chan response, 1)
	go func() {
		var resp response
		defer func() { got <- resp }()
		resp = do(t, method, url)
	}()
	return got
}

func do(t *testing.T, method, url string, header ...string) response {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := newClient(t, &http.Transport{DisableCompression: true, DisableKeepAlives: true}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return readResponse(t, resp)
}

func readResponse(t *testing.T, resp *http.Response) response {
	t.Helper()
	defer resp.Body.Close()
	var body io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = zr
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(b)}
}

// scrape returns a scrape in the format that accept requests. It fails the test
// unless the status is 200.
func scrape(t *testing.T, baseURL, accept string) string {
	t.Helper()
	resp := do(t, http.MethodGet, baseURL+"/metrics", "Accept", accept)
	if resp.status != http.StatusOK {
		t.Fatalf("scrape: status %d, body %q", resp.status, resp.body)
	}
	return resp.body
}

func wantSeries(t *testing.T, body string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+body, "\n"+line) {
			name := regexp.MustCompile(`^\w+`).FindString(line)
			t.Errorf("no line starts with %q; of that name there are %q", line, regexp.MustCompile("(?m)^"+name+".*").FindAllString(body, 20))
		}
	}
}

func wantGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("scrape differs from %s (-want +got):\n%s", path, diff)
	}
}

// gate is a collector that blocks until it is opened. A test must defer the opening,
// because the cleanup of a server waits for its scrapes.
type gate struct {
	entered chan struct{}
	release chan struct{}
	open    func()
}

func newGate() *gate {
	g := &gate{entered: make(chan struct{}, 1000), release: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.release) })
	return g
}

var gateDesc = prometheus.NewDesc("gate_passed", "Present when the gate was open.", nil, nil)

func (*gate) Describe(ch chan<- *prometheus.Desc) { ch <- gateDesc }

func (g *gate) Collect(ch chan<- prometheus.Metric) {
	g.entered <- struct{}{}
	<-g.release
	ch <- prometheus.MustNewConstMetric(gateDesc, prometheus.GaugeValue, 1)
}

func (g *gate) waitEntered(t *testing.T) {
	t.Helper()
	select {
	case <-g.entered:
	case <-time.After(waitLimit):
		t.Fatal("no scrape reached the collector")
	}
}

// logBuffer is a log for concurrent reads and writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
