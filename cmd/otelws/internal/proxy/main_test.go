package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitLimit is the timeout for conditions that must become true. Only a failing test
// waits this long.
const waitLimit = 20 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

// gateway is a running proxy.
type gateway struct {
	*proxy.Proxy
	*otelwstest.Metrics
	address string // host and port
	log     *logBuffer
	stop    func() // drains, and returns when the server has ended
}

// startProxy starts a proxy with cfg. opts configure its instrumentation.
func startProxy(t testing.TB, cfg proxy.Config, opts ...otelws.Option) *gateway {
	t.Helper()
	g := &gateway{Metrics: otelwstest.NewMetrics(t), log: &logBuffer{}}
	var err error
	cfg.WebSockets, err = otelws.New(append(opts, otelws.WithMeterProvider(g.MeterProvider()))...)
	check(t, err)
	cfg.MeterProvider = g.MeterProvider()
	cfg.Logger = slog.New(slog.NewTextHandler(g.log, nil))
	g.Proxy, err = proxy.New(cfg)
	check(t, err)

	l := listenLocal(t)
	g.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(waitLimit):
			t.Error("the proxy did not end")
		}
	})
	t.Cleanup(g.stop)
	return g
}

// idle waits until the proxy has no connection and has counted as many closed as
// opened. A client can receive its response before the proxy counts the connection as
// opened.
func (g *gateway) idle(t testing.TB) {
	t.Helper()
	for _, side := range []string{"ws_", "ws_client_"} {
		eventually(t, side+"connections to end, all that were opened", func() bool {
			return g.sum(side+"connections_active") == 0 &&
				g.sum(side+"connections_closed_total") == g.sum(side+"connections_opened_total")
		})
	}
}

// sum returns the sum of all series with a name.
func (g *gateway) sum(name string) (sum float64) {
	for line := range strings.Lines(g.Text()) {
		var v float64
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if family, _, _ := strings.Cut(series, "{"); family == name {
			if _, err := fmt.Sscan(value, &v); err == nil {
				sum += v
			}
		}
	}
	return sum
}

// wantLog checks the log. Call it after the answer to the request has arrived.
func (g *gateway) wantLog(t testing.TB, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if text := g.log.String(); !strings.Contains(text, part) {
			t.Errorf("the log lacks %q:\n%s", part, text)
		}
	}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func listenLocal(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// backend is an HTTP server that counts its connections.
type backend struct {
	*httptest.Server
	counted *countingListener
}

func startBackend(t testing.TB, h http.Handler) *backend {
	t.Helper()
	b := &backend{Server: httptest.NewUnstartedServer(h)}
	b.counted = &countingListener{Listener: b.Listener}
	b.Listener = b.counted
	b.Start()
	t.Cleanup(b.Close)
	return b
}

// rawBackend calls f for each connection. f owns the connection.
func rawBackend(t testing.TB, f func(net.Conn)) (address string, counted *countingListener) {
	t.Helper()
	counted = &countingListener{Listener: listenLocal(t)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := counted.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			all.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	t.Cleanup(func() {
		counted.Close()
		all.Wait()
	})
	return counted.Addr().String(), counted
}

// countingListener counts the open connections.
type countingListener struct {
	net.Listener
	mu   sync.Mutex
	open int
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.add(1)
	return &countedConn{Conn: c, left: sync.OnceFunc(func() { l.add(-1) })}, nil
}

func (l *countingListener) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open += n
}

func (l *countingListener) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

type countedConn struct {
	net.Conn
	left func()
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if ne, ok := err.(net.Error); err != nil && !(ok && ne.Timeout()) {
		c.left()
	}
	return n, err
}

func (c *countedConn) Close() error {
	c.left()
	return c.Conn.Close()
}

func (c *countedConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// descriptors returns the number of open file descriptors of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("needs /proc to count descriptors: %v", err)
	}
	return len(entries)
}

// request sends a request on a new connection.
func request(t testing.TB, method, url string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(testContext(t), method, url, body)
	check(t, err)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Add(header[i], header[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	check(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	check(t, err)
	return string(b)
}

var discardLog = log.New(io.Discard, "", 0)

func noInstrumentation(t testing.TB) *otelws.Instrumentation {
	t.Helper()
	ws, err := otelws.New(otelws.WithMeterProvider(noop.NewMeterProvider()))
	check(t, err)
	return ws
}
