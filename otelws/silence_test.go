package otelws_test

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// The silence of a connection is the time in which no byte passes in either direction,
// as a proxy between the peers sees it. The closing frames at its end do not shorten
// it.
func TestSilence(t *testing.T) {
	const silence = 250 * time.Millisecond
	ctx := context.Background()
	for _, tt := range []struct {
		name  string
		end   func(t *testing.T, server, client *websocket.Conn)
		quiet bool // until the connection ends
		sum   string
	}{
		{"cut", func(t *testing.T, _, client *websocket.Conn) { _ = client.CloseNow() }, true,
			`ws_connection_idle_seconds_count{code="1006",initiator="peer"}`},
		{"closed by the peer", func(t *testing.T, _, client *websocket.Conn) { _ = client.Close(1000, "") }, true,
			`ws_connection_idle_seconds_count{code="other",initiator="peer"}`},
		{"closed by this side", func(t *testing.T, server, _ *websocket.Conn) { _ = server.Close(1001, "") }, true,
			`ws_connection_idle_seconds_count{code="other",initiator="local"}`},
		{"received before", func(t *testing.T, _, client *websocket.Conn) {
			if err := client.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
				t.Error(err)
			}
			_ = client.Close(1000, "")
		}, false, `ws_connection_idle_seconds_count{code="other",initiator="peer"}`},
		{"sent before", func(t *testing.T, server, client *websocket.Conn) {
			if err := server.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
				t.Error(err)
			}
			_ = client.CloseNow()
		}, false, `ws_connection_idle_seconds_count{code="1006",initiator="peer"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			server, client := otelwstest.Pair(t, ws, nil, nil)
			for _, c := range []*websocket.Conn{server, client} {
				go func() {
					for {
						if _, _, err := c.Read(ctx); err != nil {
							_ = c.CloseNow()
							return
						}
					}
				}()
			}
			if err := client.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "both sides have been silent", func() bool {
				n := 0
				for c := range ws.Connections() {
					if c.Idle > silence && c.MessagesReceived+c.MessagesSent == 1 {
						n++
					}
				}
				return n == 2
			})
			begun := time.Now()
			tt.end(t, server, client)
			eventually(t, "both sides have ended", func() bool { return len(ws.Ended()) == 2 })
			took := time.Since(begun)
			m.Wait(t, tt.sum, 1)
			var e otelws.EndedConnection
			for _, e = range ws.Ended() {
				if !e.Client {
					break
				}
			}
			const tick = 100 * time.Millisecond // of the clock that times received bytes
			if least := silence - tick; tt.quiet && e.Idle < least {
				t.Errorf("silent for %v, want %v at least", e.Idle, least)
			}
			if !tt.quiet && e.Idle > took+tick {
				t.Errorf("silent for %v, though traffic was at most %v ago", e.Idle, took)
			}
		})
	}
}
