package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

const talkingPage = `<!doctype html><title>talk</title><script>
	const seen = {messages: 0, error: false};
	const socket = new WebSocket('ws://' + location.host + '/ws');
	const talking = setInterval(() => { if (socket.readyState === 1) socket.send('x'.repeat(100)); }, 20);
	socket.onmessage = () => seen.messages++;
	socket.onerror = () => seen.error = true;
	socket.onclose = (event) => {
		clearInterval(talking);
		seen.closed = event.code + ' ' + event.reason + (event.wasClean ? '' : ', not clean');
	};
</script>`

// A browser answers the pings of the tap between its messages, and receives the close
// code of the drain, both directly and through a proxy. The application sees no pong.
func TestBrowserIsSpokenTo(t *testing.T) {
	for name, inProxy := range map[string]bool{"direct": false, "ReverseProxy": true} {
		t.Run(name, func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()),
				otelws.WithHeartbeat(otelws.Every(50*time.Millisecond), otelws.Misses(1<<15)))
			check(t, err)
			var pongs atomic.Int64
			var server http.Handler = talkingServer(&pongs)
			rtts := []string{"ws_heartbeat_rtt_seconds_count"}
			if inProxy {
				backend := httptest.NewServer(server)
				t.Cleanup(backend.Close)
				u, err := url.Parse(backend.URL)
				check(t, err)
				proxy := httputil.NewSingleHostReverseProxy(u)
				transport := new(http.Transport)
				t.Cleanup(transport.CloseIdleConnections)
				proxy.Transport = ws.Transport(transport)
				server, rtts = proxy, append(rtts, "ws_client_heartbeat_rtt_seconds_count")
			}
			s := httptest.NewServer(ws.Handler(server))
			t.Cleanup(s.Close)
			b := startBrowser(t, s.URL)
			b.waitUntil("typeof seen !== 'undefined' && seen.messages > 10")
			for _, rtt := range rtts {
				for end := time.Now().Add(waitLimit); ; time.Sleep(time.Millisecond) {
					if n, _ := m.Value(rtt); n >= 3 {
						break
					}
					if time.Now().After(end) {
						t.Fatal("nobody answers the pings of ", rtt)
					}
				}
			}
			ctx, cancel := context.WithTimeout(testContext(t), waitLimit)
			defer cancel()
			check(t, ws.Drain(ctx))
			b.waitUntil("seen.closed")
			if got := eval[string](b, "seen.closed"); got != "1001 going away" {
				t.Errorf("the browser has %q", got)
			}
			if eval[bool](b, "seen.error") || len(b.log) > 0 {
				t.Errorf("the browser complains: %v", b.log)
			}
			if n := pongs.Load(); n > 0 {
				t.Errorf("the server has seen %d pongs", n)
			}
			m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
			m.Wait(t, `ws_drain_connections_total{outcome="closed"}`, 1)
			if inProxy {
				m.Wait(t, `ws_client_connections_closed_total{code="1001"}`, 1)
			}
		})
	}
}

// talkingServer serves talkingPage, and echoes its messages.
func talkingServer(pongs *atomic.Int64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(talkingPage)) })
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			InsecureSkipVerify: true, // the proxy has another host name than the page
			OnPongReceived:     func(context.Context, []byte) { pongs.Add(1) },
		})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, b) != nil {
				return
			}
		}
	})
	return mux
}
