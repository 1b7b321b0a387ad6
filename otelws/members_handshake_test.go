package otelws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// A handshake that is in progress at Close is counted, and so is its connection until it ends. Then
// the Instrumentation is removed, and its series end.
func TestCloseDuringHandshake(t *testing.T) {
	for _, door := range []struct {
		name   string
		prefix string
		server func(*otelws.Instrumentation, *httptest.Server)
		client func(*otelws.Instrumentation) http.RoundTripper
	}{
		{"Handler", "ws", inHandler, nil},
		{"Listener", "ws", inListener, nil},
		{"Handler inside Listener", "ws", func(ws *otelws.Instrumentation, s *httptest.Server) {
			inHandler(ws, s)
			inListener(ws, s)
		}, nil},
		{"Transport", "ws_client", nil, func(ws *otelws.Instrumentation) http.RoundTripper { return ws.Transport(nil) }},
		{"DialContext", "ws_client", nil, func(ws *otelws.Instrumentation) http.RoundTripper {
			return &http.Transport{DialContext: ws.DialContext(nil)}
		}},
	} {
		for _, refused := range []bool{false, true} {
			name := door.name
			if refused {
				name += ", refused"
			}
			t.Run(name, func(t *testing.T) {
				ws, m := newInstrumentation(t)
				asked, proceed := make(chan struct{}), make(chan struct{})
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(asked)
					<-proceed
					if refused {
						http.Error(w, "no", http.StatusForbidden)
						return
					}
					echo(w, r)
				}))
				if door.server != nil {
					door.server(ws, s)
				}
				s.Start()
				t.Cleanup(s.Close)
				var client http.Client
				if door.client != nil {
					client.Transport = door.client(ws)
				}
				dialed := make(chan *websocket.Conn)
				go func() {
					c, _, err := websocket.Dial(context.Background(), s.URL, &websocket.DialOptions{HTTPClient: &client})
					if (err != nil) != refused {
						t.Errorf("Dial returned %v", err)
					}
					client.CloseIdleConnections()
					dialed <- c
				}()
				<-asked
				if err := ws.Close(); err != nil {
					t.Fatal(err)
				}
				if _, ok := m.Value(door.prefix + "_connections_active"); !ok {
					t.Error("the series ended before the handshake")
				}
				close(proceed)
				if c := <-dialed; c != nil {
					m.Wait(t, door.prefix+"_connections_active", 1)
					c.Close(websocket.StatusNormalClosure, "")
				}
				eventually(t, "the series have ended", func() bool {
					_, ok := m.Value(door.prefix + "_connections_active")
					return !ok
				})
			})
		}
	}
}

func inHandler(ws *otelws.Instrumentation, s *httptest.Server) {
	s.Config.Handler = ws.Handler(s.Config.Handler)
}

func inListener(ws *otelws.Instrumentation, s *httptest.Server) {
	s.Listener = ws.Listener(s.Listener)
}
