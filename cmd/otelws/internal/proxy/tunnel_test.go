package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// switchTo makes a raw backend accept the WebSocket, and then calls f.
func switchTo(f func(c net.Conn, br *bufio.Reader)) func(net.Conn) {
	return func(c net.Conn) {
		br := bufio.NewReader(c)
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, switching+"Connection: Upgrade\r\nUpgrade: websocket\r\n"+accept+"\r\n")
		f(c, br)
	}
}

// Bytes that a side sends before the response, or together with it, arrive.
func TestEarlyBytes(t *testing.T) {
	address, _ := rawBackend(t, switchTo(func(c net.Conn, br *bufio.Reader) {
		_, _ = c.Write(appendFrame(fin|opText, nil, []byte("welcome")))
		_, _ = io.CopyN(c, br, int64(len(frame(fin|opText, "early")))) // the echo is still masked
	}))
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	w := dialWire(t, g.address)
	w.send(t, append([]byte(handshake("/")), frame(fin|opText, "early")...))
	if resp := w.response(t); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", resp.Status)
	}
	rest := readAll(t, w.br)
	if want := string(appendFrame(fin|opText, nil, []byte("welcome"))) + string(frame(fin|opText, "early")); rest != want {
		t.Errorf("got %q, want %q", rest, want)
	}
	w.Close()
	g.idle(t)
	if v := g.sum("ws_message_bytes_sum"); v != float64(len("early")) {
		t.Errorf("%v bytes of messages, want 5", v)
	}
}

// The proxy forwards a half-close, and the other direction continues.
func TestHalfClose(t *testing.T) {
	address, held := rawBackend(t, switchTo(func(c net.Conn, br *bufio.Reader) {
		b, _ := io.ReadAll(br)
		for part := range strings.SplitAfterSeq(strings.Repeat(string(b)+"|", 3), "|") {
			_, _ = io.WriteString(c, part)
		}
	}))
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	w := openWire(t, g.address, "/")
	w.send(t, frame(fin|opText, "x"))
	check(t, w.Conn.(closeWriter).CloseWrite())
	if got, want := readAll(t, w.br), strings.Repeat(string(frame(fin|opText, "x"))+"|", 3); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	g.idle(t)
	eventually(t, "the backend's connection to end", func() bool { return held.held() == 0 })
}

// The proxy ends a connection that the backend keeps open after its client has left.
func TestBackendHoldsOn(t *testing.T) {
	leave := make(chan struct{})
	address, _ := rawBackend(t, switchTo(func(net.Conn, *bufio.Reader) { <-leave }))
	defer close(leave)
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	g.SetLinger(50 * time.Millisecond)
	openWire(t, g.address, "/").Close()
	g.idle(t)
	g.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
}

// The proxy ends a connection that the client keeps open after its backend has left.
func TestClientHoldsOn(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	g.SetLinger(50 * time.Millisecond)
	w := openWire(t, g.address, "/")
	w.send(t, frame(fin|opClose, closing(1000, "")))
	w.want(t, fin|opClose, string(closing(1000, "")))
	g.idle(t)
	g.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
}

// A client that is still sending receives the last bytes of a backend that closed the
// connection with unread bytes.
func TestLastWords(t *testing.T) {
	address, _ := rawBackend(t, switchTo(func(c net.Conn, br *bufio.Reader) {
		_, _ = br.Peek(1000)
		_, _ = c.Write(appendFrame(fin|opClose, nil, closing(1009, "too big")))
	}))
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	for range 20 {
		w := openWire(t, g.address, "/")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			big := frame(fin|opBinary, make([]byte, 1<<20))
			for range 4 {
				if _, err := w.Write(big); err != nil {
					return
				}
			}
		}()
		w.want(t, fin|opClose, string(closing(1009, "too big")))
		<-sent
		w.Close()
	}
	g.idle(t)
	g.Wait(t, `ws_connections_closed_total{code="1009"}`, 20)
}

func TestBackendDiesWithinConnection(t *testing.T) {
	die := make(chan struct{})
	address, _ := rawBackend(t, switchTo(func(c net.Conn, br *bufio.Reader) {
		_, _ = br.Peek(1)
		<-die
		_ = c.(*countedConn).Conn.(*net.TCPConn).SetLinger(0)
	}))
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	w := openWire(t, g.address, "/")
	w.send(t, frame(fin|opText, "hello"))
	close(die)
	if got := w.transcript(); got != "end" {
		t.Errorf("the client hears %q", got)
	}
	g.idle(t)
	g.Wait(t, `ws_client_connection_duration_seconds_count{code="1006",initiator="peer"}`, 1)
	g.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
}

func TestClientVanishes(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	for _, reset := range []bool{false, true} {
		w := openWire(t, g.address, "/")
		w.send(t, frame(fin|opText, "hello"))
		w.want(t, fin|opText, "hello")
		if reset {
			check(t, w.Conn.(*net.TCPConn).SetLinger(0))
		}
		w.Close()
	}
	g.idle(t)
	g.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="peer"}`, 2)
	eventually(t, "the backend's connections to end", func() bool { return b.counted.held() == 0 })
}
