package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
)

// drainOf returns the drain options of the command.
func drainOf(spread time.Duration) otelws.Option {
	return otelws.WithDrain(otelws.DrainCode(websocket.StatusServiceRestart, "service restart"), otelws.DrainSpread(spread))
}

// When the proxy stops, it sends every client a close frame. Each backend receives
// the client's answer.
func TestDrainTellsAll(t *testing.T) {
	const clients = 500
	for _, server := range quietServers {
		t.Run(server.name, func(t *testing.T) {
			q := server.start(t)
			g := startProxy(t, proxy.Config{Backend: q.url, DrainTimeout: waitLimit}, drainOf(time.Second))
			heard := make(chan string, clients)
			var all sync.WaitGroup
			for range clients {
				c, _, err := websocket.Dial(testContext(t), "ws://"+g.address, nil)
				check(t, err)
				defer c.CloseNow()
				all.Go(func() {
					_, _, err := c.Read(testContext(t))
					heard <- err.Error()
				})
			}
			g.stop()
			all.Wait()
			close(heard)
			for err := range heard {
				if !strings.Contains(err, `status = StatusServiceRestart and reason = "service restart"`) {
					t.Fatalf("a client hears %s", err)
				}
			}
			for _, side := range []string{"ws_", "ws_client_"} {
				g.Wait(t, side+`connections_closed_total{code="1012"}`, clients)
				if opened, active := g.sum(side+"connections_opened_total"), g.sum(side+"connections_active"); opened != clients || active != 0 {
					t.Errorf("%s: %v connections opened, %v active", side, opened, active)
				}
			}
			g.Wait(t, `ws_drain_connections_total{outcome="closed"}`, clients)
			g.Wait(t, `ws_drain_connections_total{outcome="cut"}`, 0)
			eventually(t, "the backends to end", func() bool { return q.count("close 1012") == clients })
			if kinds := q.kinds(); len(kinds) != 1 {
				t.Errorf("the backend sees %q", kinds)
			}
		})
	}
}

// The client's frames after the proxy's close frame reach the backend, including its
// close frame.
func TestDrainPassesLastWords(t *testing.T) {
	q := startQuietGo(t)
	g := startProxy(t, proxy.Config{Backend: q.url, DrainTimeout: waitLimit}, drainOf(waitLimit))
	w := openWire(t, g.address, "/")
	stopped := make(chan struct{})
	go func() {
		g.stop()
		close(stopped)
	}()
	w.want(t, fin|opClose, string(closing(1012, "service restart")))
	for range 3 {
		w.send(t, frame(fin|opText, "last words"))
	}
	w.send(t, frame(fin|opClose, closing(1001, "")))
	if got := w.transcript(); got != "end" {
		t.Errorf("after the close frame came %s", got)
	}
	<-stopped
	g.Wait(t, `ws_client_frames_total{network_io_direction="transmit",opcode="text"}`, 3)
	g.idle(t)
	g.Wait(t, `ws_client_connections_closed_total{code="1001"}`, 1)
	if got := fmt.Sprint(q.kinds()); got != "[close 1001]" {
		t.Errorf("the backend sees %s", got)
	}
}

// A backend that keeps sending and reads late still receives the client's close
// frame, because its connection is not reset.
func TestDrainOfSendingBackend(t *testing.T) {
	seen, read := make(chan string, 1), make(chan struct{})
	words := frame(fin|opBinary, make([]byte, 44<<10)) // more than fits into the backend's receive buffer
	total := len(words) + len(frame(fin|opClose, closing(1012, "")))
	address, _ := rawBackend(t, switchTo(func(c net.Conn, br *bufio.Reader) {
		_ = c.(*countedConn).Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				if _, err := c.Write(appendFrame(fin|opText, nil, []byte("tick"))); err != nil {
					return
				}
			}
		}()
		<-read
		b, err := io.ReadAll(io.LimitReader(br, int64(total)))
		seen <- fmt.Sprintf("%d bytes, %v", len(b), err)
		c.Close()
		<-ended
	}))
	g := startProxy(t, proxy.Config{Backend: "http://" + address, DrainTimeout: waitLimit}, drainOf(0))
	w := openWire(t, g.address, "/")
	w.want(t, fin|opText, "tick")
	go g.stop()
	for {
		first, payload, err := w.read()
		check(t, err)
		if first == fin|opClose {
			w.send(t, append(words, frame(fin|opClose, payload[:2])...))
			break
		}
	}
	g.Wait(t, "ws_connections_active", 0)
	close(read)
	if got, want := <-seen, fmt.Sprintf("%d bytes, <nil>", total); got != want {
		t.Errorf("the backend sees %s, want %s", got, want)
	}
	g.stop()
	g.Wait(t, `ws_client_connections_closed_total{code="1012"}`, 1)
}

// If the client does not answer, the proxy sends the backend a close frame, and cuts
// off the connections that do not end.
func TestDrainOfSilentClient(t *testing.T) {
	q := startQuietGo(t)
	g := startProxy(t, proxy.Config{Backend: q.url, DrainTimeout: 3 * time.Second}, drainOf(0))
	w := openWire(t, g.address, "/")
	go g.stop()
	w.want(t, fin|opClose, string(closing(1012, "service restart")))
	eventually(t, "the backend to be told", func() bool { return q.count("close 1012") == 1 })
	g.stop()
	g.Wait(t, `ws_drain_connections_total{outcome="cut"}`, 1)
	g.Wait(t, `ws_client_drain_connections_total{outcome="closed"}`, 1)
	g.Wait(t, `ws_connections_active`, 0)
	g.Wait(t, `ws_client_connections_active`, 0)
	g.wantLog(t, "cut off WebSockets", "drained the WebSockets of clients and to the backend\" closed=1 cut=1\n")
}

// A WebSocket whose handshake ends during the drain is closed at once, on both sides.
func TestDrainOfLateConnection(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-answer
		coderEcho(w, r)
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL, DrainTimeout: waitLimit}, drainOf(waitLimit))
	w := dialWire(t, g.address)
	w.send(t, []byte(handshake("/")))
	<-arrived
	go g.stop()
	eventually(t, "the drain", func() bool { return g.Ready(t.Context()) != nil })
	close(answer)
	if resp := w.response(t); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", resp.Status)
	}
	w.want(t, fin|opClose, string(closing(1012, "service restart")))
	w.send(t, frame(fin|opClose, closing(1012, "")))
	g.stop()
	g.Wait(t, `ws_connections_closed_total{code="1012"}`, 1)
}
