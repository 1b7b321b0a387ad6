package otelws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"

	"github.com/otelws/otelws-go/otelws"
)

// Each way to end a connection has its close code and its initiator.
func TestAttribution(t *testing.T) {
	ctx := context.Background()
	big := make([]byte, 64<<20)
	reads := func(c *websocket.Conn) {
		readAll(ctx, c)
		c.CloseNow()
	}
	answers := func(c *websocket.Conn, _ *net.TCPConn) { readAll(ctx, c) }
	waits := func(*websocket.Conn, *net.TCPConn) {}

	tests := []struct {
		name   string
		server func(*websocket.Conn)
		client func(*websocket.Conn, *net.TCPConn)
		want   string
	}{
		{"closed by the peer", reads, func(c *websocket.Conn, _ *net.TCPConn) { c.Close(4000, "") }, "4xxx peer"},
		{"closed by the peer without a code", reads, func(c *websocket.Conn, _ *net.TCPConn) { c.Close(1005, "") }, "1005 peer"},
		{"EOF", reads, func(_ *websocket.Conn, nc *net.TCPConn) { nc.Close() }, "1006 peer"},
		{"reset", reads, func(_ *websocket.Conn, nc *net.TCPConn) {
			nc.SetLinger(0)
			nc.Close()
		}, "1006 peer"},
		{"broken pipe", func(c *websocket.Conn) {
			for c.Write(ctx, websocket.MessageText, []byte("x")) == nil {
			}
		}, func(_ *websocket.Conn, nc *net.TCPConn) { nc.Close() }, "1006 peer"},
		{"closed here", func(c *websocket.Conn) { c.Close(1001, "") }, answers, "1001 local"},
		{"closed here, answered by a reset", func(c *websocket.Conn) { c.Close(1001, "") }, func(c *websocket.Conn, nc *net.TCPConn) {
			readAll(ctx, c)
			nc.SetLinger(0)
			nc.Close()
		}, "1001 local"},
		{"read limit", func(c *websocket.Conn) {
			c.SetReadLimit(2)
			reads(c)
		}, func(c *websocket.Conn, _ *net.TCPConn) {
			c.Write(ctx, websocket.MessageText, []byte("hello"))
			readAll(ctx, c)
		}, "1009 local"},
		{"CloseNow", func(c *websocket.Conn) { c.CloseNow() }, waits, "1006 local"},
		{"context of a read cancelled", func(c *websocket.Conn) {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			c.Read(ctx)
		}, waits, "1006 local"},
		{"context of a stuck write passed", func(c *websocket.Conn) {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			c.Write(ctx, websocket.MessageBinary, big)
		}, waits, "1006 timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan otelws.Summary, 1)
			ws, m := newInstrumentation(t, otelws.WithOnClose(func(_ context.Context, s otelws.Summary) { ended <- s }))
			url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(w, r, nil)
				if err == nil {
					defer c.CloseNow()
					tt.server(c)
				}
			})))
			var nc *net.TCPConn
			rt := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, address)
				nc, _ = c.(*net.TCPConn)
				return c, err
			}}
			c, _, err := websocket.Dial(ctx, url, dialOptions(rt))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			left := make(chan struct{})
			go func() {
				defer close(left)
				tt.client(c, nc)
			}()
			s := <-ended
			var code, initiator string
			if _, err := fmt.Sscan(tt.want, &code, &initiator); err != nil {
				t.Fatal(err)
			}
			m.Wait(t, fmt.Sprintf("ws_connections_closed_total{code=%q}", code), 1)
			if s.Initiator.String() != initiator {
				t.Errorf("initiator %v (summary %+v), want %s", s.Initiator, s, initiator)
			}
			nc.Close()
			<-left
		})
	}
}

// A close frame that is stuck in a write has closed nothing. The connection ends as if
// the frame had not been written, or by the close frame of the peer.
func TestStuckCloseFrame(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer []byte
		want   string
	}{
		{"peer hangs up", nil, `ws_connection_duration_seconds_count{code="1006",initiator="peer"}`},
		{"peer closes", masked(0x88, closePayload(4001, "")), `ws_connection_duration_seconds_count{code="4xxx",initiator="peer"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws, m := newInstrumentation(t)
				near, far := net.Pipe()
				server, err := ws.Accept(pipeWriter{httptest.NewRecorder(), near}, upgrade(), nil)
				if err != nil {
					t.Fatal(err)
				}
				var ends sync.WaitGroup
				if tt.answer != nil { // without an answer, the blocked write itself learns of the end
					ends.Go(func() { readAll(context.Background(), server) })
				}
				ends.Go(func() { server.Close(websocket.StatusGoingAway, "") })
				// Once the first byte arrives, the write has begun. It then waits until
				// somebody reads the rest.
				if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				if tt.answer != nil {
					time.Sleep(time.Second) // an answer that comes at once can be one to a frame that has left
					if _, err := far.Write(tt.answer); err != nil {
						t.Fatal(err)
					}
					m.Wait(t, `ws_frames_total{network_io_direction="receive",opcode="close"}`, 1)
				}
				far.Close()
				m.Wait(t, tt.want, 1)
				server.CloseNow()
				ends.Wait()
			})
		})
	}
}

// A connection counts as timed out if a deadline has passed, no byte has come since,
// and the application then closes it.
func TestPassedDeadline(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes []byte // what the peer sends after the deadline
		want  string
	}{
		{"nothing since", nil, "timeout"},
		{"a message since", masked(fin|opText, "hello"), "local"},
		{"a part of one since", masked(fin|opText, "hello")[:4], "local"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			near, far := net.Pipe()
			defer far.Close()
			go io.Copy(io.Discard, far)
			ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _, _, err := gobwas.UpgradeHTTP(r, w)
				if err != nil {
					t.Fatal(err)
				}
				_ = c.SetReadDeadline(time.Now())
				if _, err := c.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("Read returned %v", err)
				}
				_ = c.SetReadDeadline(time.Time{})
				if tt.bytes != nil {
					go far.Write(tt.bytes)
					if _, err := c.Read(make([]byte, 100)); err != nil {
						t.Fatal(err)
					}
				}
				c.Close()
			})).ServeHTTP(pipeWriter{httptest.NewRecorder(), near}, upgrade())
			m.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="`+tt.want+`"}`, 1)
		})
	}
}
