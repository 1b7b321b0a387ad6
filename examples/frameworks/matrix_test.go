package frameworks

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gobwas/ws"
	nbiolog "github.com/lesismal/nbio/logging"
	"go.opentelemetry.io/otel"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// handled counts the calls of the error handler.
var handled atomic.Int64

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	nbiolog.SetLevel(nbiolog.LevelNone)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { handled.Add(1); log.Print(err) }))
	os.Exit(m.Run())
}

// placements are the places where a program can install otelws.
var placements = []struct {
	name  string
	place func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler, h http.Handler) http.Handler
}{
	{"outside", func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler, h http.Handler) http.Handler {
		return ws.Handler(mount(h))
	}},
	{"inside", func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler, h http.Handler) http.Handler {
		return mount(ws.Handler(h))
	}},
	{"both", func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler, h http.Handler) http.Handler {
		return ws.Handler(mount(ws.Handler(h)))
	}},
}

// acceptPlacements are the places for ws.Accept, which uses coder/websocket.
var acceptPlacements = []struct {
	name  string
	place func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler) http.Handler
}{
	{"Accept", func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler) http.Handler {
		return mount(acceptEcho(ws))
	}},
	{"Accept-inside", func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler) http.Handler {
		return mount(ws.Handler(acceptEcho(ws)))
	}},
	{"Accept-outside", func(ws *otelws.Instrumentation, mount func(http.Handler) http.Handler) http.Handler {
		return ws.Handler(mount(acceptEcho(ws)))
	}},
}

// With every framework, library and placement, a handshake gets the same answer as
// without otelws, and the metrics match what the client sees.
func TestMatrix(t *testing.T) {
	for _, f := range frameworks {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, l := range libraries {
				bare := answers(t, f.mount(l.echo))
				for _, p := range placements {
					t.Run(l.name+"/"+p.name, func(t *testing.T) {
						hold(t, bare, func(ws *otelws.Instrumentation) http.Handler { return p.place(ws, f.mount, l.echo) })
					})
				}
				if l.name != "coder" {
					continue
				}
				for _, p := range acceptPlacements {
					t.Run(l.name+"/"+p.name, func(t *testing.T) {
						hold(t, bare, func(ws *otelws.Instrumentation) http.Handler { return p.place(ws, f.mount) })
					})
				}
			}
		})
	}
}

// versions are the WebSocket version, and one that libraries reject.
var versions = []int{13, 12}

func serve(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// answers returns the status with which h answers each version.
func answers(t *testing.T, h http.Handler) (statuses []int) {
	address := serve(t, h)
	for _, v := range versions {
		c := dial(t, address, v)
		statuses = append(statuses, c.status)
		_ = c.Close()
	}
	return statuses
}

// hold compares the metrics of a server with what clients see.
func hold(t *testing.T, bare []int, server func(*otelws.Instrumentation) http.Handler) {
	for i, v := range versions {
		m := otelwstest.NewMetrics(t)
		w, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
		if err != nil {
			t.Fatal(err)
		}
		address := serve(t, server(w))
		c := dial(t, address, v)
		if c.status != bare[i] {
			t.Fatalf("version %d is answered by %d, without otelws by %d", v, c.status, bare[i])
		}
		if c.status != http.StatusSwitchingProtocols {
			_ = c.Close()
			refused(t, m, c.status)
			continue
		}
		converse(t, m, c)
		vanish(t, m, dial(t, address, v))
	}
}

// refused waits until a handshake is recorded with its status, and checks that there
// is no connection.
func refused(t *testing.T, m *otelwstest.Metrics, status int) {
	t.Helper()
	switch status {
	case closed:
		status = http.StatusInternalServerError
	case frame:
		status = 0
	}
	m.Wait(t, handshakes(fmt.Sprint(status)), 1)
	if n, _ := m.Value("ws_connections_opened_total"); n != 0 {
		t.Errorf("%v connections were opened", n)
	}
	if n, ok := m.Value(handshakes("101")); ok {
		t.Errorf("%v handshakes succeeded", n)
	}
}

func handshakes(status string) string {
	return `ws_handshake_duration_seconds_count{http_response_status_code="` + status + `"}`
}

// converse exchanges messages, and compares the metrics to the byte.
func converse(t *testing.T, m *otelwstest.Metrics, c *client) {
	t.Helper()
	payload := talk(t, c)
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
	got := m.Text()
	for sample, want := range map[string]int{
		"ws_connections_opened_total": 1,
		"ws_connections_active":       0,
		handshakes("101"):             1,
		`ws_connection_duration_seconds_count{code="1001",initiator="peer"}`: 1,
		"ws_message_bytes_count":                                         2,
		"ws_message_bytes_sum":                                           payload,
		"ws_message_sent_bytes_count":                                    3,
		"ws_message_sent_bytes_sum":                                      payload + len(greeting),
		`ws_io_bytes_total{network_io_direction="receive"}`:              c.sent,
		`ws_io_bytes_total{network_io_direction="transmit"}`:             c.received,
		`ws_frames_total{network_io_direction="receive",opcode="ping"}`:  1,
		`ws_frames_total{network_io_direction="transmit",opcode="pong"}`: 1,
	} {
		if !strings.Contains("\n"+got, fmt.Sprintf("\n%s %d\n", sample, want)) {
			value, _ := m.Value(sample)
			t.Errorf("%s is %v, want %d", sample, value, want)
		}
	}
}

// vanish closes a client's connection without a close frame.
func vanish(t *testing.T, m *otelwstest.Metrics, c *client) {
	t.Helper()
	c.expect(t, ws.OpText, []byte(greeting))
	m.Wait(t, "ws_connections_active", 1)
	_ = c.Close()
	m.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
	m.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="peer"}`, 1)
	m.Wait(t, "ws_connections_active", 0)
}
