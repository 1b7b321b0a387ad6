package otelws_test

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// What a hop between two peers counts is the time without a byte in either
// direction. A close frame that ends the silence is not part of it.
func TestSilence(t *testing.T) {
	const silence = 250 * time.Millisecond
	ctx := context.Background()
	for _, tt := range []struct {
		name  string
		end   func(t *testing.T, server, client *websocket.Conn)
		quiet bool // to the end
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
			eventually(t, "both have been silent", func() bool {
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
			eventually(t, "both have ended", func() bool { return len(ws.Ended()) == 2 })
			took := time.Since(begun)
			m.Wait(t, tt.sum, 1)
			var e otelws.EndedConnection
			for _, e = range ws.Ended() {
				if !e.Client {
					break
				}
			}
			const tick = 100 * time.Millisecond // of the clock that stamps what is received
			if least := silence - tick; tt.quiet && e.Idle < least {
				t.Errorf("silent for %v, not %v at least", e.Idle, least)
			}
			if !tt.quiet && e.Idle > took+tick {
				t.Errorf("silent for %v, of which only %v were possible", e.Idle, took)
			}
		})
	}
}
