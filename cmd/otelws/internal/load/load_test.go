package load_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a WebSocket server under test, with its metrics.
type server struct {
	url, metrics string
}

// serve starts a server that calls handle for each connection, instrumented by
// otelws.
func serve(t *testing.T, opts *websocket.AcceptOptions, handle func(context.Context, *websocket.Conn)) server {
	t.Helper()
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	var handlers sync.WaitGroup
	t.Cleanup(handlers.Wait)
	s := httptest.NewServer(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		c, err := websocket.Accept(w, r, opts)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		handle(r.Context(), c)
	})))
	t.Cleanup(s.Close)
	metrics := httptest.NewServer(promhttp.HandlerFor(m.Gatherer(), promhttp.HandlerOpts{}))
	t.Cleanup(metrics.Close)
	return server{"ws" + strings.TrimPrefix(s.URL, "http"), metrics.URL}
}

func echo(ctx context.Context, c *websocket.Conn) {
	for {
		typ, r, err := c.Reader(ctx)
		if err != nil {
			return
		}
		w, err := c.Writer(ctx, typ)
		if err != nil {
			return
		}
		if _, err := io.Copy(w, r); err != nil {
			return
		}
		if err := w.Close(); err != nil {
			return
		}
	}
}

func config(t *testing.T, s server) load.Config {
	t.Helper()
	sizes, err := load.ParseSizes("64:5,0-1KiB:3,70KiB:1")
	if err != nil {
		t.Fatal(err)
	}
	c := load.Config{
		URL: s.url, Connections: 10, Messages: 2000, Sizes: sizes, Echo: true,
		SlowPause: time.Millisecond, Timeout: 10 * time.Second, VerifyTimeout: 10 * time.Second,
	}
	if s.metrics != "" {
		c.Verify = s.metrics
		if c.Metrics, err = scrape.NewClient("", 10*time.Second, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, c load.Config) *load.Result {
	t.Helper()
	r, err := load.Run(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *load.Result) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The server's series match the counts of the run, to the message and the byte.
func TestVerify(t *testing.T) {
	deflate := &websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover}
	for _, tt := range []struct {
		name   string
		accept *websocket.AcceptOptions
		change func(*load.Config)
		check  func(*testing.T, *load.Result)
	}{
		{"text", nil, func(*load.Config) {}, func(t *testing.T, r *load.Result) {
			if r.Closes["1000"] != 10 || r.RTT.Count != 2000 {
				t.Errorf("got %+v", r)
			}
		}},
		{"binary", nil, func(c *load.Config) { c.Binary = true }, nil},
		{"drops", nil, func(c *load.Config) { c.Drop = 0.3 }, func(t *testing.T, r *load.Result) {
			if r.Closes["1000"] != 7 || r.Closes["1006"] != 3 || r.Connections.Dropped != 3 {
				t.Errorf("got %+v", r)
			}
		}},
		{"slow readers", nil, func(c *load.Config) { c.Slow = 0.2 }, func(t *testing.T, r *load.Result) {
			if r.RTT.Count == 0 || r.RTT.Count >= 2000 {
				t.Errorf("%d round trips, want none of slow readers'", r.RTT.Count)
			}
		}},
		{"rate", nil, func(c *load.Config) { c.Rate, c.Messages = 500, 1000 }, nil},
		{"heartbeat", nil, func(c *load.Config) { c.Heartbeat, c.Rate, c.Messages = 5*time.Millisecond, 200, 400 },
			func(t *testing.T, r *load.Result) {
				if r.Heartbeat.Count == 0 {
					t.Error("no pings")
				}
			}},
		{"lifetime", nil, func(c *load.Config) { c.Lifetime, c.Rate, c.Messages = 20*time.Millisecond, 200, 400 },
			func(t *testing.T, r *load.Result) {
				if r.Connections.Opened <= 10 {
					t.Errorf("%d connections, want some replaced", r.Connections.Opened)
				}
			}},
		{"no time for a ping", nil, func(c *load.Config) { c.Heartbeat, c.Messages = time.Hour, 100 }, nil},
		{"no echo", nil, func(c *load.Config) { c.Echo, c.Messages = false, 500 }, nil},
		{"no echo, and drops before the server has read all", nil, func(c *load.Config) { c.Echo, c.Messages, c.Drop = false, 2000, 1 }, nil},
		{"compression", deflate, func(c *load.Config) { c.Compression = true }, func(t *testing.T, r *load.Result) {
			if r.Connections.Compressed != 10 || !strings.Contains(text(t, r), "before compression") {
				t.Errorf("got\n%s", text(t, r))
			}
		}},
		{"compression refused", nil, func(c *load.Config) { c.Compression = true }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config(t, serve(t, tt.accept, echo))
			tt.change(&c)
			r := run(t, c)
			if !r.OK() || r.Verification.Status != load.Agrees || r.Messages.Sent != c.Messages {
				t.Errorf("got\n%s", text(t, r))
			}
			if c.Echo && r.Messages.Received != c.Messages {
				t.Errorf("%d received", r.Messages.Received)
			}
			if tt.check != nil {
				tt.check(t, r)
			}
		})
	}
}

// A connection of another client is reported as such, not as a fault.
func TestVerifyOthers(t *testing.T) {
	s := serve(t, nil, echo)
	c, _, err := websocket.Dial(t.Context(), s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), websocket.MessageText, nil); err != nil {
		t.Fatal(err)
	}
	// The server has counted the connection when the echo is back.
	if _, _, err := c.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, s)
	cfg.VerifyTimeout = 10 * time.Millisecond
	// The other client leaves during the run.
	r, err := load.Run(t.Context(), cfg, func(context.Context, func() load.Snapshot) {
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK() || r.Verification.Status != load.Disturbed || !strings.Contains(text(t, r), "others had 1 connections") {
		t.Errorf("got\n%s", text(t, r))
	}
}

// The verification finds a series that is wrong by one.
func TestVerifyDisagrees(t *testing.T) {
	var scrapes atomic.Int64
	s := serve(t, nil, echo)
	right := s.metrics
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := http.Get(right)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if scrapes.Add(1) > 1 {
			b = bytes.Replace(b, []byte("\nws_message_bytes_count 2000"), []byte("\nws_message_bytes_count 1999"), 1)
		}
		_, _ = w.Write(b)
	}))
	defer wrong.Close()
	defer http.DefaultClient.CloseIdleConnections()
	s.metrics = wrong.URL
	c := config(t, s)
	c.VerifyTimeout = 200 * time.Millisecond
	r := run(t, c)
	if r.OK() || r.Verification.Status != load.Disagrees {
		t.Errorf("got\n%s", text(t, r))
	}
}

func kinds(r *load.Result) string {
	var all []string
	for _, e := range r.Errors {
		all = append(all, e.Kind)
	}
	return strings.Join(all, "; ")
}

func TestServersThatFail(t *testing.T) {
	for _, tt := range []struct {
		name   string
		handle func(context.Context, *websocket.Conn)
		want   string // kind of error
	}{
		{"wrong echo", func(ctx context.Context, c *websocket.Conn) {
			for {
				typ, b, err := c.Read(ctx)
				if err != nil || c.Write(ctx, typ, append(b, '!')) != nil {
					return
				}
			}
		}, "message: not the echo of the message sent"},
		{"greeting", func(ctx context.Context, c *websocket.Conn) {
			_ = c.Write(ctx, websocket.MessageText, []byte("welcome"))
			echo(ctx, c)
		}, "message: "},
		{"closes", func(ctx context.Context, c *websocket.Conn) {
			_, _, _ = c.Read(ctx)
			_ = c.Close(4321, "enough")
		}, "closed by the server with 4xxx"},
		{"hangs up", func(ctx context.Context, c *websocket.Conn) { _, _, _ = c.Read(ctx) }, "connection: "},
		{"never answers", func(ctx context.Context, c *websocket.Conn) {
			for {
				if _, _, err := c.Read(ctx); err != nil {
					return
				}
			}
		}, "message: not echoed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config(t, serve(t, nil, tt.handle))
			c.Duration, c.Timeout, c.VerifyTimeout = time.Second, 2*time.Second, 10*time.Millisecond
			c.Messages = 100
			r := run(t, c)
			if r.OK() || !strings.Contains(kinds(r), tt.want) {
				t.Errorf("got %q, want %q", kinds(r), tt.want)
			}
			for _, e := range r.Errors {
				if strings.ContainsAny(e.Example, "\n\x1b") {
					t.Errorf("example %q", e.Example)
				}
			}
		})
	}
}

// If the server goes away, the run ends with the results so far.
func TestServerStops(t *testing.T) {
	var conns atomic.Int64
	stop := make(chan struct{})
	s := serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
		if conns.Add(1) == 10 {
			close(stop)
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			<-stop
			cancel()
		}()
		echo(ctx, c)
	})
	c := config(t, s)
	c.Messages, c.Duration, c.VerifyTimeout = 0, time.Minute, 10*time.Millisecond
	r := run(t, c)
	if r.Connections.Opened != 10 || r.Closes["1006"] != 10 || r.OK() {
		t.Errorf("got\n%s", text(t, r))
	}
}

func TestNoHandshake(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusServiceUnavailable)
	}))
	defer refusing.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer page.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, tt := range []struct {
		url, want string
		timeout   time.Duration
	}{
		{"ws" + strings.TrimPrefix(refusing.URL, "http"), "handshake: answered 503 Service Unavailable (10)", 10 * time.Second},
		{"ws" + strings.TrimPrefix(page.URL, "http"), "handshake: answered 200 OK (10): is this the path of a WebSocket?", 10 * time.Second},
		{"ws://127.0.0.1:1", "dial: refused (10)", 10 * time.Second},
		{"ws://" + silent.Addr().String(), "handshake: no answer in time (10)", 100 * time.Millisecond},
	} {
		c := config(t, server{url: tt.url})
		c.Timeout = tt.timeout
		r, err := load.Run(t.Context(), c, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.url) {
			t.Errorf("%s: %v, %v, want %s", tt.url, r, err, tt.want)
		}
	}
}

// An interrupted run ends like any other: its connections close cleanly, and the
// counts agree.
func TestInterrupt(t *testing.T) {
	c := config(t, serve(t, nil, echo))
	c.Messages, c.Duration = 0, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	r, err := load.Run(ctx, c, func(ctx context.Context, now func() load.Snapshot) {
		for now().Received < 100 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || !r.Interrupted || r.Closes["1000"] == 0 || len(r.Closes) != 1 {
		t.Errorf("got\n%s", text(t, r))
	}
}

// A round trip begins when its message is due. If the server delays one message, the
// delay also shows in the messages behind it.
func TestCoordinatedOmission(t *testing.T) {
	const hold = 400 * time.Millisecond
	held := false
	s := serve(t, nil, func(ctx context.Context, c *websocket.Conn) {
		for n := 0; ; n++ {
			typ, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			if n == 10 && !held {
				held = true
				time.Sleep(hold)
			}
			if c.Write(ctx, typ, b) != nil {
				return
			}
		}
	})
	c := config(t, s)
	c.Connections, c.Rate, c.Messages = 1, 200, 100
	r := run(t, c)
	// Eighty messages are due in that time, and wait for half of it on average.
	if r.RTT.P50 < hold.Seconds()/20 || r.RTT.Max < hold.Seconds() {
		t.Errorf("p50 %v, max %v: most messages waited", r.RTT.P50, r.RTT.Max)
	}
}

func TestVerifyNeedsMetrics(t *testing.T) {
	s := serve(t, nil, echo)
	s.metrics = "http://127.0.0.1:1/metrics"
	if _, err := load.Run(t.Context(), config(t, s), nil); err == nil || !strings.Contains(err.Error(), "--verify") {
		t.Errorf("got %v", err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a 1\n") }))
	defer other.Close()
	s.metrics = other.URL
	if _, err := load.Run(t.Context(), config(t, s), nil); err == nil || !strings.Contains(err.Error(), "ws_connections_opened_total") {
		t.Errorf("got %v", errors.Unwrap(err))
	}
}
