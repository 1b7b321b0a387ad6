package otelws_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/tracing"
)

func tier(r *http.Request) string { return r.URL.Query().Get("tier") }

func TestEnum(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("tier", tier, "free", "pro"))
	if diff := cmpLines(m.Text(), `ws_connections_active`, `
		ws_connections_active{tier="free"} 0
		ws_connections_active{tier="other"} 0
		ws_connections_active{tier="pro"} 0`); diff != "" {
		t.Errorf("metrics before the first connection:\n%s", diff)
	}
	url := serve(t, ws.Handler(echo))
	for _, query := range []string{"?tier=free", "?tier=pro", "?tier=pro", "?tier=gold", ""} {
		visit(t, url+query)
	}
	m.Wait(t, `ws_connections_closed_total{code="1000",tier="other"}`, 2)
	m.Wait(t, `ws_connections_closed_total{code="1000",tier="pro"}`, 2)
	m.Wait(t, `ws_connections_closed_total{code="1000",tier="free"}`, 1)
	if diff := m.Diff(`
		ws_connections_closed_total{code="1000",tier="free"} 1
		ws_connections_closed_total{code="1000",tier="other"} 2
		ws_connections_closed_total{code="1000",tier="pro"} 2
		ws_connections_opened_total{tier="free"} 1
		ws_connections_opened_total{tier="other"} 2
		ws_connections_opened_total{tier="pro"} 2
		ws_handshake_duration_seconds_count{http_response_status_code="101",tier="free"} 1
		ws_handshake_duration_seconds_count{http_response_status_code="101",tier="other"} 2
		ws_handshake_duration_seconds_count{http_response_status_code="101",tier="pro"} 2
		ws_handshake_duration_seconds_sum{http_response_status_code="101",tier="free"} ~
		ws_handshake_duration_seconds_sum{http_response_status_code="101",tier="other"} ~
		ws_handshake_duration_seconds_sum{http_response_status_code="101",tier="pro"} ~` + fiveVisits); diff != "" {
		t.Error(diff)
	}
}

// Each combination of the values of several attributes is counted as itself.
func TestEnumsCombined(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("tier", tier, "free", "pro"),
		otelws.WithEnum("path", func(r *http.Request) string { return r.URL.Path }, "/a", "/b", "/c"))
	url := serve(t, ws.Handler(echo))
	n := 0.0
	for _, path := range []string{"/a", "/b", "/c", "/d"} {
		for _, tier := range []string{"free", "pro", "gold"} {
			n++
			for range int(n) {
				visit(t, url+path+"?tier="+tier)
			}
			known := func(s, unknown string) string { return strings.ReplaceAll(s, unknown, "other") }
			m.Wait(t, fmt.Sprintf(`ws_connections_closed_total{code="1000",path=%q,tier=%q}`, known(path, "/d"), known(tier, "gold")), n)
		}
	}
}

// An attribute may depend on the TLS connection, also in front of a Listener.
func TestEnumOfTLS(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("scheme", func(r *http.Request) string {
		if r.TLS != nil && r.TLS.HandshakeComplete {
			return "https"
		}
		return "http"
	}, "http", "https"))
	for scheme, wrap := range map[string]func(net.Listener) net.Listener{
		"http":  ws.Listener,
		"https": func(l net.Listener) net.Listener { return ws.Listener(tls.NewListener(l, testTLS())) },
	} {
		w := connectWireTo(t, serveRaw(t, wrap, gobwasRaw), scheme == "https")
		w.send(handshakeRequest())
		w.answered(101)
		_ = w.Close()
		m.Wait(t, fmt.Sprintf(`ws_connections_closed_total{code="1006",scheme=%q}`, scheme), 1)
	}
}

// fiveVisits holds those metrics of five visits that carry no attribute of the
// application.
const fiveVisits = `
	ws_connection_duration_seconds_count{code="1000",initiator="peer"} 5
	ws_connection_duration_seconds_sum{code="1000",initiator="peer"} ~
	ws_connection_idle_seconds_count{code="other",initiator="peer"} 5
	ws_connection_idle_seconds_sum{code="other",initiator="peer"} ~
	ws_frames_total{network_io_direction="receive",opcode="close"} 5
	ws_frames_total{network_io_direction="receive",opcode="text"} 5
	ws_frames_total{network_io_direction="transmit",opcode="close"} 5
	ws_frames_total{network_io_direction="transmit",opcode="text"} 5
	ws_io_bytes_total{network_io_direction="receive"} 95
	ws_io_bytes_total{network_io_direction="transmit"} 55
	ws_message_bytes_bucket{le="1024"} 5
	ws_message_bytes_bucket{le="16384"} 5
	ws_message_bytes_bucket{le="256"} 5
	ws_message_bytes_bucket{le="262144"} 5
	ws_message_bytes_bucket{le="4096"} 5
	ws_message_bytes_bucket{le="64"} 5
	ws_message_bytes_bucket{le="65536"} 5
	ws_message_bytes_count 5
	ws_message_bytes_sum 25
	ws_message_sent_bytes_bucket{le="1024"} 5
	ws_message_sent_bytes_bucket{le="16384"} 5
	ws_message_sent_bytes_bucket{le="256"} 5
	ws_message_sent_bytes_bucket{le="262144"} 5
	ws_message_sent_bytes_bucket{le="4096"} 5
	ws_message_sent_bytes_bucket{le="64"} 5
	ws_message_sent_bytes_bucket{le="65536"} 5
	ws_message_sent_bytes_count 5
	ws_message_sent_bytes_sum 25
	ws_write_time_seconds_total ~`

// cmpLines compares with want those lines of text that begin with prefix.
func cmpLines(text, prefix, want string) string {
	var got []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			got = append(got, strings.TrimSpace(line))
		}
	}
	var wanted []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			wanted = append(wanted, line)
		}
	}
	if strings.Join(got, "\n") == strings.Join(wanted, "\n") {
		return ""
	}
	return fmt.Sprintf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
}

func TestAttributesOn(t *testing.T) {
	ws, m := newInstrumentation(t,
		otelws.WithEnum("tier", tier, "pro"),
		otelws.WithAttributesOn(otelws.MessageInstruments, otelws.HeartbeatInstruments, otelws.DurationInstruments, otelws.TrafficInstruments))
	visit(t, serve(t, ws.Handler(echo))+"?tier=pro")
	m.Wait(t, `ws_connections_closed_total{code="1000",tier="pro"}`, 1)
	for line := range strings.Lines(m.Text()) {
		without := strings.HasPrefix(line, "ws_protocol_errors_total") || strings.HasPrefix(line, "ws_drain_connections_total") ||
			strings.HasPrefix(line, "ws_connection_idle_seconds")
		if !strings.Contains(line, `tier="`) && !without {
			t.Errorf("series without the attribute: %s", line)
		}
	}
	for _, s := range []string{
		`ws_message_bytes_count{tier="pro"}`,
		`ws_message_sent_bytes_count{tier="pro"}`,
		`ws_frames_total{network_io_direction="receive",opcode="text",tier="pro"}`,
		`ws_connection_duration_seconds_count{code="1000",initiator="peer",tier="pro"}`,
	} {
		if v, _ := m.Value(s); v != 1 {
			t.Errorf("%s is %v, want 1", s, v)
		}
	}
}

func TestRoutes(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithRoutes("GET /chat/{room}", "/echo"))
	mux := http.NewServeMux()
	mux.Handle("GET /chat/{room}", echo)
	mux.Handle("/echo", echo)
	mux.Handle("/undeclared", echo)
	outside := serve(t, ws.Handler(mux))
	for _, path := range []string{"/chat/1", "/chat/2", "/echo", "/undeclared"} {
		visit(t, outside+path)
	}
	inside := http.NewServeMux()
	inside.Handle("GET /chat/{room}", ws.Handler(echo))
	visit(t, serve(t, inside)+"/chat/3")

	m.Wait(t, `ws_connections_closed_total{code="1000",http_route="/chat/{room}"}`, 3)
	m.Wait(t, `ws_connections_closed_total{code="1000",http_route="/echo"}`, 1)
	m.Wait(t, `ws_connections_closed_total{code="1000",http_route="other"}`, 1)
}

func TestSubprotocols(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithSubprotocols("chat.v1", "chat.v2"))
	accepted := append(tracing.Subprotocols("chat.v2", "chat.v9"), tracing.Subprotocols()...)
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: accepted})
		if err == nil {
			c.CloseNow()
		}
	})))
	for _, offer := range [][]string{
		{"chat.v1", "chat.v2"}, {"chat.v9"}, {"chat.v1"}, nil,
		tracing.Subprotocols("chat.v2"), tracing.Subprotocols("chat.v9"), tracing.Subprotocols(),
	} {
		c, _, err := ws.Dial(context.Background(), url, &websocket.DialOptions{Subprotocols: offer})
		if err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
	}
	for value, n := range map[string]float64{"chat.v1": 0, "chat.v2": 2, "none": 3, "other": 2} {
		for _, name := range []string{"ws_connections_opened_total", "ws_client_connections_opened_total"} {
			m.Wait(t, fmt.Sprintf("%s{subprotocol=%q}", name, value), n)
		}
	}
}

// SetAttribute takes effect in each Handler that declares the name.
func TestSetTwoProviders(t *testing.T) {
	declaring := otelws.WithEnum("tier", nil, "free", "pro")
	for _, c := range []struct {
		name         string
		outer, inner []otelws.Option
		want         [2]string // labels
	}{
		{"both", []otelws.Option{declaring}, []otelws.Option{declaring}, [2]string{`{tier="pro"}`, `{tier="pro"}`}},
		{"the outer", []otelws.Option{declaring}, []otelws.Option{otelws.WithEnum("other", nil, "x")}, [2]string{`{tier="pro"}`, `{other="other"}`}},
		{"the inner", nil, []otelws.Option{declaring}, [2]string{"", `{tier="pro"}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			outer, om := newInstrumentation(t, c.outer...)
			inner, im := newInstrumentation(t, c.inner...)
			visit(t, serve(t, outer.Handler(inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := otelws.SetAttribute(r.Context(), "tier", "pro"); err != nil {
					t.Error(err)
				}
				echo.ServeHTTP(w, r)
			})))))
			om.Wait(t, "ws_connections_opened_total"+c.want[0], 1)
			im.Wait(t, "ws_connections_opened_total"+c.want[1], 1)
		})
	}
}

func TestSetAttribute(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("tier", tier, "free", "pro"))
	var errs []error
	done := make(chan struct{})
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		errs = append(errs, otelws.SetAttribute(r.Context(), "tier", "pro"), otelws.SetAttribute(r.Context(), "plan", "pro"))
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		errs = append(errs, otelws.SetAttribute(r.Context(), "tier", "free"))
	})))
	c, _, err := websocket.Dial(context.Background(), url+"?tier=free", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	<-done
	m.Wait(t, `ws_connections_closed_total{code="1006",tier="pro"}`, 1)

	errs = append(errs, otelws.SetAttribute(context.Background(), "tier", "pro"))
	for i, want := range []string{
		"",
		"otelws: failed to set plan: declare it with WithEnum",
		"otelws: failed to set tier: the handshake has already been answered: call SetAttribute before Accept, Upgrade or WriteHeader",
		"otelws: failed to set tier: the context does not belong to a WebSocket request inside a Handler: put Handler outside the middleware that calls SetAttribute",
	} {
		if got := fmt.Sprint(errs[i]); got != want && (want != "" || errs[i] != nil) {
			t.Errorf("error %q, want %q", got, want)
		}
	}
}

// A panic in a function of the application does not end the connection.
func TestEnumPanics(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("tier", func(*http.Request) string { panic("no") }, "free"))
	visit(t, serve(t, ws.Handler(echo)))
	m.Wait(t, `ws_connections_closed_total{code="1000",tier="other"}`, 1)
}

// The metrics count each close code as itself if it is registered or declared. All
// others fall into a few fixed values.
func TestCloseCodes(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithCloseCodes(4001, 3500))
	url := serve(t, ws.Handler(echo))
	tests := []struct {
		code websocket.StatusCode
		want string
	}{
		{1000, "1000"}, {1001, "1001"}, {1002, "1002"}, {1003, "1003"}, {1007, "1007"}, {1008, "1008"},
		{1009, "1009"}, {1010, "1010"}, {1011, "1011"}, {1012, "1012"}, {1013, "1013"}, {1014, "1014"},
		{websocket.StatusNoStatusRcvd, "1005"}, {3000, "3000"}, {3003, "3003"}, {3008, "3008"},
		{3500, "3500"}, {3501, "3xxx"}, {3999, "3xxx"}, {4000, "4xxx"}, {4001, "4001"}, {4999, "4xxx"},
	}
	want := map[string]float64{}
	for _, tt := range tests {
		c, _, err := websocket.Dial(context.Background(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(tt.code, ""); err != nil {
			t.Fatalf("code %d: %v", tt.code, err)
		}
		want[tt.want]++
	}
	for value, n := range want {
		m.Wait(t, fmt.Sprintf("ws_connections_closed_total{code=%q}", value), n)
	}
}

// A function that calls runtime.Goexit, as t.FailNow does, ends the goroutine of the handler. Neither
// a drain nor Close then waits for its connection.
func TestEnumEndsGoroutine(t *testing.T) {
	ws, _ := newInstrumentation(t, otelws.WithEnum("tier", func(*http.Request) string {
		runtime.Goexit()
		return ""
	}, "free"))
	ended := make(chan struct{})
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		ws.Handler(echo).ServeHTTP(w, r)
	}))
	c, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	<-ended
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := ws.Drain(ctx); err != nil {
		t.Error(err)
	}
}
