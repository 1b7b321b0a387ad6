package otelws_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	gorilla "github.com/gorilla/websocket"
)

// Clients close their tabs while a server sends to all of them. Each peer sends 1001, half of
// them behind many messages, and is gone, with messages unread. The server's writer ends the connection as soon as a
// write fails. The recorded code must be the peer's 1001 whenever the library has read
// it, and over plain TCP whenever the peer has sent it.
func TestCloseCodesInFanOut(t *testing.T) {
	const clients = 480
	for _, tt := range []struct {
		name   string
		serve  func(http.Handler) *httptest.Server
		reader bool
	}{
		{"plain", httptest.NewServer, true},
		{"plain, write only", httptest.NewServer, false},
		{"TLS", httptest.NewTLSServer, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			var read atomic.Int64 // how many 1001 the library has read
			var handlers sync.WaitGroup
			handlers.Add(clients)
			s := tt.serve(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer handlers.Done()
				c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				var reader sync.WaitGroup
				if tt.reader {
					reader.Go(func() {
						for {
							_, _, err := c.ReadMessage()
							if gorilla.IsCloseError(err, gorilla.CloseGoingAway) {
								read.Add(1)
							}
							if err != nil {
								return
							}
						}
					})
				}
				for c.WriteMessage(gorilla.TextMessage, []byte("tick")) == nil {
				}
				_ = c.Close()
				reader.Wait()
			})))
			defer s.Close()
			var all sync.WaitGroup
			slots := make(chan struct{}, 16)
			for i := range clients {
				slots <- struct{}{}
				all.Go(func() {
					defer func() { <-slots }()
					sayGoingAway(t, s, i%2*500)
				})
			}
			all.Wait()
			handlers.Wait()
			m.Wait(t, "ws_connections_active", 0)
			m.Wait(t, "ws_connections_opened_total", clients)
			counted, _ := m.Value(`ws_connections_closed_total{code="1001"}`)
			t.Logf("the metrics count %v of %d connections as 1001; the library read %d", counted, clients, read.Load())
			if counted < float64(read.Load()) || s.TLS == nil && counted != clients {
				t.Errorf("the metrics count %v of %d connections as 1001; the library read %d", counted, clients, read.Load())
			}
		})
	}
}

// sayGoingAway is a client that reads one message, sends n messages and 1001, and disconnects.
func sayGoingAway(t *testing.T, s *httptest.Server, n int) {
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Error(err)
		return
	}
	defer nc.Close()
	if s.TLS != nil {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	if _, err := nc.Write(handshakeRequest()); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 200)); err != nil { // the response and a part of the message
		t.Error(err)
	}
	b := bytes.Repeat(masked(fin|opText, "the client speaks, too"), n)
	if _, err := nc.Write(append(b, masked(fin|opClose, closePayload(1001, ""))...)); err != nil {
		t.Error(err)
	}
}
