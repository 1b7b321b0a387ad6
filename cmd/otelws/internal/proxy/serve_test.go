package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

func listenUnix(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	check(t, err)
	return l
}

// A drain accepts no more connections, closes the WebSockets, and lets requests end.
func TestDrain(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			coderEcho(w, r)
			return
		}
		close(arrived)
		<-answer
		_, _ = io.WriteString(w, "done")
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL, DrainTimeout: waitLimit})
	check(t, g.Ready(t.Context()))
	ws := openWire(t, g.address, "/")
	slow := dialWire(t, g.address)
	slow.send(t, []byte("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n"))
	<-arrived

	stopped := make(chan struct{})
	go func() {
		g.stop()
		close(stopped)
	}()
	eventually(t, "the drain", func() bool { return g.Ready(t.Context()) != nil })
	eventually(t, "the listener to be closed", func() bool {
		c, err := net.Dial("tcp", g.address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	ws.want(t, fin|opClose, string(closing(1001, "going away")))
	ws.send(t, frame(fin|opClose, closing(1001, "")))
	g.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
	g.idle(t)
	select {
	case <-stopped:
		t.Error("the drain ended with a request left")
	default:
	}
	close(answer)
	if got := readAll(t, slow.response(t).Body); got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	<-stopped
}

// The drain timeout cuts off the rest on both sides, even if a client does not read.
func TestDrainCutsOff(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-hold:
			}
		case "/flood":
			c, brw, _ := http.NewResponseController(w).Hijack()
			defer c.Close()
			_, _ = brw.WriteString(switching + "Connection: Upgrade\r\nUpgrade: websocket\r\n" + accept + "\r\n")
			for {
				if _, err := brw.Write(appendFrame(fin|opBinary, nil, make([]byte, 60000))); err != nil {
					return
				}
			}
		default:
			coderEcho(w, r)
		}
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL, DrainTimeout: 500 * time.Millisecond})
	ws := openWire(t, g.address, "/")
	openWire(t, g.address, "/flood")
	slow := dialWire(t, g.address)
	slow.send(t, []byte("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n"))
	eventually(t, "the request to arrive", func() bool { return b.counted.held() == 3 })
	eventually(t, "the flood to stand still", func() bool {
		blocked, _ := g.Value("ws_write_time_seconds_total")
		return blocked > 0.2
	})

	g.stop()
	if got := ws.transcript(); got != describe(fin|opClose, closing(1001, "going away"))+"\nend" {
		t.Errorf("the connection ends by %q", got)
	}
	if resp := slow.response(t); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the request ends by %s", resp.Status)
	}
	g.idle(t)
	g.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
	g.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
	g.Wait(t, `ws_drain_connections_total{outcome="cut"}`, 2)
	eventually(t, "the backend's connections to end", func() bool { return b.counted.held() == 0 })
}

// A drain answers an upload that it cuts off.
func TestDrainCutsOffUpload(t *testing.T) {
	asked := make(chan struct{})
	address, _ := rawBackend(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		close(asked)
		_, _ = io.Copy(io.Discard, c)
	})
	g := startProxy(t, proxy.Config{Backend: "http://" + address, DrainTimeout: 50 * time.Millisecond})
	w := dialWire(t, g.address)
	w.send(t, []byte(upload+"Content-Length: 10\r\n\r\nhello"))
	<-asked
	g.stop()
	if resp := w.response(t); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the upload ends by %s", resp.Status)
	}
}

func TestReady(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		g.ReadyHandler().ServeHTTP(w, httptest.NewRequest("GET", "/-/ready", nil))
		return w.Code, w.Body.String()
	}
	if code, body := ask(); code != 200 || body != "Ready.\n" {
		t.Errorf("%d %q", code, body)
	}
	b.CloseClientConnections()
	b.Close()
	eventually(t, "the backend to be missed", func() bool { code, body := ask(); return code == 503 && strings.Contains(body, b.URL) })
	g.stop()
	if code, body := ask(); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("after the end: %d %q", code, body)
	}
}

// After a thousand connections that end in every possible way, no connection is left.
func TestChurn(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	openWire(t, g.address, "/").Close()
	g.idle(t)
	before := descriptors(t)

	const connections, clients = 1000, 20
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := i; n < connections; n += clients {
				churn(t, g.address, n)
			}
		})
	}
	all.Wait()
	g.idle(t)
	for _, side := range []string{"ws_", "ws_client_"} {
		if v := g.sum(side + "connections_opened_total"); v != connections+1 {
			t.Errorf("%s: %v connections, want %d", side, v, connections+1)
		}
		if v := g.sum(side + "protocol_errors_total"); v != 0 {
			t.Errorf("%s: %v protocol errors", side, v)
		}
	}
	for code, want := range map[string]float64{"1000": 250, "1005": 250, "1006": 501} {
		g.Wait(t, `ws_connections_closed_total{code="`+code+`"}`, want)
		g.Wait(t, `ws_client_connections_closed_total{code="`+code+`"}`, want)
	}
	eventually(t, "the backend's connections to end", func() bool { return b.counted.held() == 0 })
	eventually(t, "descriptors to be what they were", func() bool { return descriptors(t) <= before })
}

func churn(t *testing.T, address string, n int) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(waitLimit))
	_, _ = io.WriteString(c, handshake("/"))
	head := make([]byte, len("HTTP/1.1 101"))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != "HTTP/1.1 101" {
		t.Errorf("handshake: %q, %v", head, err)
		return
	}
	_, _ = c.Write(frame(fin|opText, "hello"))
	switch n % 4 {
	case 0:
		_, _ = c.Write(frame(fin|opClose, closing(1000, "")))
		_, _ = io.Copy(io.Discard, c)
	case 1:
		_, _ = c.Write(frame(fin|opClose, ""))
		_, _ = io.Copy(io.Discard, c)
	case 2:
		_ = c.(*net.TCPConn).SetLinger(0)
	}
}
