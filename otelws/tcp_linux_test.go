package otelws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws"
)

// At the end of a connection the kernel's figures are recorded, with TLS and without,
// whichever side ends the connection.
func TestTCPMetrics(t *testing.T) {
	for _, tt := range []struct {
		name string
		tls  bool
		end  func(c *websocket.Conn)
	}{
		{"cut by the peer", false, func(c *websocket.Conn) { _ = c.CloseNow() }},
		{"closed by the peer", false, func(c *websocket.Conn) { _ = c.Close(1000, "") }},
		{"closed by the peer, TLS", true, func(c *websocket.Conn) { _ = c.Close(1000, "") }},
		{"closed by the server", false, func(c *websocket.Conn) {
			_ = c.Write(context.Background(), websocket.MessageText, []byte("leave"))
			_, _, _ = c.Read(context.Background())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ws, m := newInstrumentation(t, otelws.WithTCPMetrics())
			h := ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer c.CloseNow()
				for {
					typ, b, err := c.Read(r.Context())
					if err != nil || string(b) == "leave" {
						return
					}
					if err := c.Write(r.Context(), typ, b); err != nil {
						return
					}
				}
			}))
			url, client := serve(t, h), http.DefaultClient
			if tt.tls {
				s := httptest.NewTLSServer(h)
				t.Cleanup(s.Close)
				url, client = s.URL, s.Client()
			}
			c, _, err := websocket.Dial(context.Background(), url, &websocket.DialOptions{HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			for range 10 {
				if err := c.Write(context.Background(), websocket.MessageText, []byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.Read(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if v, ok := m.Value("ws_tcp_unsent_bytes"); !ok || v != 0 {
				t.Errorf("unsent bytes are %v, %v", v, ok)
			}
			tt.end(c)
			m.Wait(t, "ws_connections_active", 0)
			m.Wait(t, "ws_tcp_rtt_min_seconds_count", 1)
			if v, _ := m.Value("ws_tcp_rtt_min_seconds_sum"); v <= 0 || v > 1 {
				t.Errorf("the smallest round trip is %v s", v)
			}
			if _, ok := m.Value("ws_tcp_retransmits_total"); !ok {
				t.Error("ws_tcp_retransmits_total is missing")
			}
		})
	}
}

func TestTCPMetricsAreInTheBudget(t *testing.T) {
	const without = 2568
	off := otelws.WithMeterProvider(noop.NewMeterProvider())
	if _, err := otelws.New(off, otelws.WithTCPMetrics(), otelws.WithSeriesBudget(without+2*(17+1+1))); err != nil {
		t.Error(err)
	}
	if _, err := otelws.New(off, otelws.WithTCPMetrics(), otelws.WithSeriesBudget(without+2*(17+1+1)-1)); err == nil {
		t.Error("New accepted a budget without room for the TCP metrics")
	}
}

// The unsent bytes show a reader while it stalls. A closed Instrumentation leaves none behind.
func TestTCPUnsent(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithTCPMetrics())
	if _, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), otelws.WithTCPMetrics()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for c.Write(ctx, websocket.MessageBinary, make([]byte, 1<<20)) == nil {
		}
	})))
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	eventually(t, "the metrics show unsent bytes", func() bool {
		v, _ := m.Value("ws_tcp_unsent_bytes")
		return v > 0
	})
	_ = c.CloseNow()
	cancel()
	m.Wait(t, "ws_connections_active", 0)
	if err := ws.Close(); err != nil {
		t.Fatal(err)
	}
	if v, ok := m.Value("ws_tcp_unsent_bytes"); !ok || v != 0 {
		t.Errorf("after the end of the connection, unsent bytes are %v, %v", v, ok)
	}
}

// The network delays each packet, and loses one in twenty.
func TestTCPMetricsFollowTheNetwork(t *testing.T) {
	if os.Getenv(namespaceEnv) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTCPMetricsFollowTheNetwork$", "-test.v")
		cmd.Env = append(os.Environ(), namespaceEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		switch {
		case cmd.ProcessState == nil, strings.Contains(string(out), "--- SKIP"):
			t.Skipf("the network cannot be made here: %v\n%s", err, out)
		case err != nil:
			t.Errorf("the test in the namespace: %v\n%s", err, out)
		}
		return
	}
	for _, delay := range []time.Duration{5 * time.Millisecond, 25 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			newNetwork(t, delay, 20)
			l, address := listenNear(t)
			ws, m := newInstrumentation(t, otelws.WithTCPMetrics())
			s := &http.Server{Handler: ws.Handler(echo)}
			go func() { _ = s.Serve(l) }()
			defer s.Close()
			ctx := context.Background()
			c, _, err := websocket.Dial(ctx, "ws://"+address, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			eventually(t, "the kernel has retransmitted a segment", func() bool {
				if err := c.Write(ctx, websocket.MessageBinary, make([]byte, 4<<10)); err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.Read(ctx); err != nil {
					t.Fatal(err)
				}
				for c := range ws.Connections() {
					tcp, ok := c.TCP()
					return ok && tcp.Retransmits > 0
				}
				return false
			})
			_ = c.CloseNow()
			m.Wait(t, "ws_connections_active", 0)
			// Each direction has the delay, and the machine may be busy.
			if v, _ := m.Value("ws_tcp_rtt_min_seconds_sum"); v < 2*delay.Seconds() || v > 20*delay.Seconds() {
				t.Errorf("the smallest round trip is %v s", v)
			}
			if v, _ := m.Value("ws_tcp_retransmits_total"); v < 1 {
				t.Errorf("%v retransmits, want at least 1", v)
			}
		})
	}
}
