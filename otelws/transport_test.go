package otelws_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/internal/socket"
)

// If the base panics, the handshake still ends.
func TestTransportPanics(t *testing.T) {
	ws, m := newInstrumentation(t)
	rt := ws.Transport(roundTripperFunc(func(*http.Request) (*http.Response, error) { panic("no") }))
	func() {
		defer func() { _ = recover() }()
		_, _ = rt.RoundTrip(upgrade())
	}()
	m.Wait(t, `ws_client_handshake_duration_seconds_count{http_response_status_code="0"}`, 1)
}

// If the base returns neither a response nor an error, the Transport does the same, and http.Client
// reports it.
func TestTransportReturnsNothing(t *testing.T) {
	ws, m := newInstrumentation(t)
	resp, err := ws.Transport(roundTripperFunc(func(*http.Request) (*http.Response, error) { return nil, nil })).RoundTrip(upgrade())
	if resp != nil || err != nil {
		t.Errorf("RoundTrip returned %v, %v; want nil", resp, err)
	}
	m.Wait(t, `ws_client_handshake_duration_seconds_count{http_response_status_code="0"}`, 1)
}

// A request may have header names as in RFC 6455.
func TestTransportHeaderNames(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, coderEcho(nil))
	r, err := http.NewRequest(http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"upgrade": {"websocket"}, "connection": {"Upgrade"},
		"Sec-WebSocket-Version": {"13"}, "Sec-WebSocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	resp, err := ws.Transport(newTransport(t)).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	m.Wait(t, "ws_client_connections_opened_total", 1)
	m.Wait(t, `ws_client_connections_closed_total{code="1006"}`, 1)
}

// A base that turns an ordinary request into a WebSocket is reported once, since Transport cannot watch
// it. client-go has such a RoundTripper.
func TestTransportReportsOwnUpgrade(t *testing.T) {
	s := startServer(t, nil, coderEcho(nil))
	dial := func(rt http.RoundTripper) http.RoundTripper {
		return roundTripperFunc(func(r *http.Request) (*http.Response, error) {
			own := upgrade()
			own.URL = r.URL
			return rt.RoundTrip(own)
		})
	}
	visit := func(t *testing.T, rt http.RoundTripper) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("the status is %d, want 101", resp.StatusCode)
		}
	}
	t.Run("outside", func(t *testing.T) {
		says := reported(t)
		ws, m := newInstrumentation(t)
		for range 2 {
			visit(t, ws.Transport(dial(newTransport(t))))
		}
		expectReports(t, says, "opens WebSockets by itself")
		if n, _ := m.Value("ws_client_connections_opened_total"); n != 0 {
			t.Errorf("%v connections were opened", n)
		}
	})
	t.Run("both", func(t *testing.T) {
		says := reported(t)
		ws, m := newInstrumentation(t)
		visit(t, ws.Transport(dial(ws.Transport(newTransport(t)))))
		m.Wait(t, "ws_client_connections_opened_total", 1)
		if got := says(); len(got) > 0 {
			t.Errorf("the reported errors are %q, want none", got)
		}
	})
	t.Run("closed", func(t *testing.T) {
		says := reported(t)
		ws, _ := newInstrumentation(t)
		rt := ws.Transport(dial(newTransport(t)))
		if err := ws.Close(); err != nil {
			t.Fatal(err)
		}
		visit(t, rt)
		if got := says(); len(got) > 0 {
			t.Errorf("the reported errors are %q, want none", got)
		}
	})
}

// A base may send a request twice and use the first response, to lower the latency.
func TestTransportHedges(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, coderEcho(nil))
	base := newTransport(t)
	type result struct {
		*http.Response
		error
	}
	var losers sync.WaitGroup
	rt := ws.Transport(roundTripperFunc(func(r *http.Request) (*http.Response, error) {
		results := make(chan result, 2)
		for range cap(results) {
			go func() {
				resp, err := base.RoundTrip(r.Clone(r.Context()))
				results <- result{resp, err}
			}()
		}
		first := <-results
		losers.Go(func() {
			if second := <-results; second.error == nil {
				_ = second.Body.Close()
			}
		})
		return first.Response, first.error
	}))
	for n := range 10 {
		c, resp, err := websocket.Dial(t.Context(), s.ws(), dialOptions(rt))
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.Heartbeat(resp.Request.Context(), fast...); err != nil {
			t.Error(err)
		}
		converse(t, c)
		m.Wait(t, `ws_client_connections_closed_total{code="1000"}`, float64(n+1))
	}
	losers.Wait()
}

// The series of dialed connections appear with the first Transport, before it dials.
func TestClientSeries(t *testing.T) {
	exp, err := exporter.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exp.Shutdown(context.Background()) })
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "\nws_client_"
	scrape := scrapeOf(t, exp)
	if strings.Contains(scrape, prefix) || !strings.Contains(scrape, "\nws_connections_active 0\n") {
		t.Errorf("without a Transport, the scrape has:\n%s", scrape)
	}
	ws.Transport(nil)
	if scrape := scrapeOf(t, exp); !strings.Contains(scrape, prefix+"connections_active 0\n") {
		t.Errorf("with a Transport, the scrape has:\n%s", scrape)
	}
}

// A server says 1001 and is gone while the client writes. The client closes as soon as a write fails.
// Its transport hides the socket, in which the close frame is unread.
func TestTransportFindsCloseFrame(t *testing.T) {
	if !socket.Asked {
		t.Skip("this system shows no data without reading it")
	}
	ws, m := newInstrumentation(t)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, _, err := gobwas.HTTPUpgrader{}.Upgrade(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = nc.Read(make([]byte, 1)) // the client has read the response
		_, _ = nc.Write(frames(unmasked(fin|opText, "hello"), unmasked(fin|opClose, closePayload(1001, ""))))
		_ = nc.(*net.TCPConn).SetLinger(0)
		_ = nc.Close()
	}))
	c, _, err := ws.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for c.Write(t.Context(), websocket.MessageText, []byte("tick")) == nil {
	}
	_ = c.CloseNow()
	m.Wait(t, `ws_client_connections_closed_total{code="1001"}`, 1)
}
