package exporter_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/otelws/otelws-go/exporter"
)

// trackingListener records the connections that the server has open. It makes their
// send buffers small, so that a response soon waits for its reader.
type trackingListener struct {
	net.Listener
	mu        sync.Mutex
	open, max int
}

func (l *trackingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	l.max = max(l.max, l.open)
	if err := c.(*net.TCPConn).SetWriteBuffer(4 << 10); err != nil {
		return nil, err
	}
	return &trackedConn{Conn: c, closed: sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
	})}, nil
}

func (l *trackingListener) counts() (open, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.max
}

type trackedConn struct {
	net.Conn
	closed func()
}

func (c *trackedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

func serveTracked(t *testing.T, exp *exporter.Exporter) (*server, *trackingListener) {
	t.Helper()
	var tl *trackingListener
	srv := serve(t, exp, func(l net.Listener) net.Listener {
		tl = &trackingListener{Listener: l}
		return tl
	})
	return srv, tl
}

// large makes a scrape larger than the socket buffers and an HTTP/2 window.
func large(size int) prometheus.Collector {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "large", Help: strings.Repeat("x", size)})
}

// readNothing starts n scrapers that read nothing, and returns when the server is
// serving them.
func readNothing(t *testing.T, srv *server, n int) {
	t.Helper()
	for range n {
		conn := dial(t, srv.addr)
		check(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
		_, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
		check(t, err)
	}
	waitInFlight(t, srv, n)
}

// waitInFlight waits until n scrapes are in progress, besides its own.
func waitInFlight(t *testing.T, srv *server, n int) {
	t.Helper()
	want := "promhttp_metric_handler_requests_in_flight " + strconv.Itoa(n+1) + "\n"
	waitFor(t, want, func() bool {
		resp := do(t, "GET", "http://"+srv.addr+"/metrics?name[]=promhttp_metric_handler_requests_in_flight")
		return strings.HasSuffix(resp.body, want)
	})
}

func TestScraperThatReadsNothing(t *testing.T) {
	t.Parallel()
	exp := newExporter(t, exporter.WithScrapeTimeout(3*time.Second), exporter.WithCollector(large(1<<20)))
	srv, tl := serveTracked(t, exp)
	readNothing(t, srv, 5)
	// The clients of these connections never close them.
	waitFor(t, "the server to drop them", func() bool { open, _ := tl.counts(); return open == 0 })
	waitInFlight(t, srv, 0)
}

func TestCancelDoesNotWaitForeverForScraper(t *testing.T) {
	t.Parallel()
	exp := newExporter(t, exporter.WithScrapeTimeout(3*time.Second), exporter.WithCollector(large(1<<20)))
	srv, tl := serveTracked(t, exp)
	readNothing(t, srv, 1)
	srv.stop(t)
	if open, _ := tl.counts(); open != 0 {
		t.Errorf("%d connections are open after Serve", open)
	}
}

func TestScraperThatSendsNothing(t *testing.T) {
	t.Parallel()
	srv, _ := serveTracked(t, newExporter(t, exporter.WithScrapeTimeout(2*time.Second)))
	for _, sent := range []string{"", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: "} {
		conn := dial(t, srv.addr)
		_, err := io.WriteString(conn, sent)
		check(t, err)
		check(t, conn.SetReadDeadline(time.Now().Add(waitLimit)))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("after sending %q: %v, want the server to close", sent, err)
		}
	}
	wantSeries(t, scrape(t, "http://"+srv.addr, textAccept), "target_info{")
}

func TestBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	srv, tl := serveTracked(t, newExporter(t, exporter.WithScrapeTimeout(300*time.Millisecond)))
	conn := dial(t, srv.addr)
	_, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
	check(t, err)
	waitFor(t, "the connection", func() bool { _, most := tl.counts(); return most == 1 })
	waitFor(t, "the server to drop it", func() bool { open, _ := tl.counts(); return open == 0 })
}

func TestHugeHeader(t *testing.T) {
	t.Parallel()
	srv, tl := serveTracked(t, newExporter(t))
	conn := dial(t, srv.addr)
	check(t, conn.SetDeadline(time.Now().Add(waitLimit)))
	_, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Huge: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	check(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	check(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", resp.StatusCode)
	}
	waitFor(t, "the server to drop it", func() bool { open, _ := tl.counts(); return open == 0 })
	wantSeries(t, scrape(t, "http://"+srv.addr, textAccept), "target_info{")
}

func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	srv, tl := serveTracked(t, newExporter(t, exporter.WithScrapeTimeout(3*time.Second)))
	const limit = 512
	for range limit + 50 {
		c, err := net.Dial("tcp", srv.addr)
		check(t, err)
		defer c.Close()
	}
	waitFor(t, "the limit to be reached", func() bool { _, most := tl.counts(); return most >= limit })
	// The server answers once it has dropped the scrapers that read nothing.
	wantSeries(t, scrape(t, "http://"+srv.addr, textAccept), "target_info{")
	if _, most := tl.counts(); most > limit {
		t.Errorf("%d connections at a time, limit %d", most, limit)
	}
}

// flakyListener fails to accept, like a process without free descriptors.
type flakyListener struct {
	net.Listener
	failures int
}

type temporaryError struct{ error }

func (temporaryError) Timeout() bool   { return false }
func (temporaryError) Temporary() bool { return true }

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, temporaryError{errors.New("too many open files")}
	}
	return l.Listener.Accept()
}

func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	var log logBuffer
	srv := serve(t, newExporter(t, exporter.WithLogger(log.logger())), func(l net.Listener) net.Listener {
		return &flakyListener{Listener: l, failures: 4}
	})
	wantSeries(t, scrape(t, "http://"+srv.addr, textAccept), "target_info{")
	if got := log.String(); strings.Count(got, "too many open files") != 1 {
		t.Errorf("want the failure in the log once:\n%s", got)
	}
}
