package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// refusedBy returns the status and header that answer a handshake.
func refusedBy(t *testing.T, address string, lines ...string) (status int, header http.Header) {
	t.Helper()
	w := dialWire(t, address)
	w.send(t, []byte(handshake("/", lines...)))
	resp := w.response(t)
	w.Close()
	return resp.StatusCode, resp.Header
}

func TestConnectionLimits(t *testing.T) {
	var loopback proxy.Networks
	check(t, loopback.Set("127.0.0.1,::1"))
	const forwarded = "X-Forwarded-For: 203.0.113."
	for _, tt := range []struct {
		name   string
		cfg    proxy.Config
		first  []string // header lines of clients that are admitted
		more   string   // of a client above the limit
		status int
		reason string
		other  string // of a client that is admitted nevertheless
	}{
		{"in all", proxy.Config{Limits: proxy.Limits{Connections: 2}}, []string{"X: 1", "X: 2"}, "X: 3", 503, "connections", ""},
		{"of a client", proxy.Config{Limits: proxy.Limits{ClientConnections: 2}}, []string{"X: 1", "X: 2"}, "X: 3", 429, "client_connections", ""},
		{"of a client that a trusted proxy names", proxy.Config{Trusted: loopback, Limits: proxy.Limits{ClientConnections: 2}},
			[]string{forwarded + "1", forwarded + "1"}, forwarded + "1", 429, "client_connections", forwarded + "2"},
		{"handshakes", proxy.Config{Limits: proxy.Limits{Handshakes: 0.001}}, []string{"X: 1"}, "X: 2", 503, "rate", ""},
		{"handshakes of a client", proxy.Config{Trusted: loopback, Limits: proxy.Limits{ClientHandshakes: 0.001}},
			[]string{forwarded + "1"}, forwarded + "1", 429, "client_rate", forwarded + "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := startBackend(t, http.HandlerFunc(coderEcho))
			tt.cfg.Backend = b.URL
			g := startProxy(t, tt.cfg)
			var open []*wire
			for _, line := range tt.first {
				open = append(open, openWire(t, g.address, "/", line))
			}
			status, header := refusedBy(t, g.address, tt.more)
			if status != tt.status || header.Get("Retry-After") == "" {
				t.Errorf("status %d, want %d; %v", status, tt.status, header)
			}
			g.Wait(t, `otelws_proxy_refused_total{reason="`+tt.reason+`"}`, 1)
			if tt.other != "" {
				openWire(t, g.address, "/", tt.other)
			}
			if strings.Contains(tt.name, "handshakes") {
				return
			}
			open[0].Close()
			eventually(t, "room for another", func() bool {
				status, _ := refusedBy(t, g.address, tt.more)
				return status == http.StatusSwitchingProtocols
			})
		})
	}
}

// HTTP/2 requests share a connection. The limit on connections also limits the
// requests in progress.
func TestRequestLimit(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	front := newCertificate(t, t.TempDir(), "front.example")
	g := startProxy(t, proxy.Config{Backend: b.URL, ServerTLS: front, Limits: proxy.Limits{Connections: 2}, DrainTimeout: waitLimit})
	client := clientFor(t, front, true)
	got := make(chan int, 3)
	ask := func() {
		resp, err := client.Get("https://" + g.address)
		if err != nil {
			t.Error(err)
			got <- 0
			return
		}
		defer resp.Body.Close()
		got <- resp.StatusCode
	}
	go ask()
	<-arrived
	go ask()
	<-arrived
	ask()
	if status := <-got; status != http.StatusServiceUnavailable {
		t.Errorf("status %d of a third request, want 503", status)
	}
	close(answer)
	<-got
	<-got
}

// A client that does not finish its request in time gets a 408. A client that sends
// nothing gets no answer.
func TestHandshakeTime(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	for _, tt := range []struct {
		name, send string
		status     int
	}{
		{"half a head", handshake("/")[:40], http.StatusRequestTimeout},
		{"half a line", "G", http.StatusRequestTimeout},
		{"nothing", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{HandshakeTime: 50 * time.Millisecond}})
			w := dialWire(t, g.address)
			w.send(t, []byte(tt.send))
			if tt.status == 0 {
				if got := readAll(t, w.br); got != "" {
					t.Errorf("the client hears %q", got)
				}
				return
			}
			if resp := w.response(t); resp.StatusCode != tt.status || !resp.Close {
				t.Errorf("status %s, want %d", resp.Status, tt.status)
			}
			g.Wait(t, `otelws_proxy_refused_total{reason="late"}`, 1)
		})
	}
	// A connection that finished in time stays open.
	g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{HandshakeTime: 50 * time.Millisecond}})
	w := openWire(t, g.address, "/")
	late := dialWire(t, g.address)
	late.send(t, []byte("G"))
	late.response(t)
	w.send(t, frame(fin|opText, "hello"))
	w.want(t, fin|opText, "hello")
}

func TestHeaderLimit(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{HeaderBytes: 4 << 10}})
	status, _ := refusedBy(t, g.address, "X: "+strings.Repeat("x", 9<<10))
	if status != http.StatusRequestHeaderFieldsTooLarge || len(b.requests()) > 0 {
		t.Errorf("status %d, want 431", status)
	}
	g.Wait(t, `otelws_proxy_refused_total{reason="head"}`, 1)
	if status, _ := refusedBy(t, g.address, "X: "+strings.Repeat("x", 3<<10)); status != http.StatusSwitchingProtocols {
		t.Errorf("status %d of a head within the limit", status)
	}
}

func TestIdle(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{Idle: 40 * time.Millisecond}})
	w := openWire(t, g.address, "/")
	w.send(t, frame(fin|opText, "hello"))
	w.want(t, fin|opText, "hello")
	if got := w.transcript(); got != "end" {
		t.Errorf("the client hears %q", got)
	}
	g.idle(t)
	g.Wait(t, `otelws_proxy_cut_total{reason="idle"}`, 1)
	eventually(t, "the backend's connection to end", func() bool { return b.counted.held() == 0 })
}

// If no large buffer is available, small ones carry all the bytes.
func TestBufferLimit(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			coderEcho(w, r)
			return
		}
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{BufferBytes: 1}})
	w := openWire(t, g.address, "/")
	message := strings.Repeat("x", 1<<20)
	go func() { _, _ = w.Write(frame(fin|opText, message)) }()
	w.want(t, fin|opText, message)
	if n := len(readAll(t, request(t, "GET", "http://"+g.address, nil).Body)); n != 1<<20 {
		t.Errorf("%d bytes of the response", n)
	}
}

func TestLimitErrors(t *testing.T) {
	for _, l := range []proxy.Limits{
		{Connections: -1}, {ClientConnections: -1}, {IPv6Prefix: 129}, {Handshakes: -1}, {HeaderBytes: 100}, {Idle: -1}, {BufferBytes: -1},
	} {
		_, err := proxy.New(proxy.Config{Backend: "http://localhost", WebSockets: noInstrumentation(t), Limits: l})
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// CheckLoop detects a backend that is the proxy itself or its metrics.
func TestCheckLoop(t *testing.T) {
	specific, all := listenLocal(t), func() net.Listener {
		l, err := net.Listen("tcp", ":0")
		check(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}()
	port := func(l net.Listener) string { return fmt.Sprint(l.Addr().(*net.TCPAddr).Port) }
	for _, tt := range []struct {
		backend string
		l       net.Listener
		loop    bool
	}{
		{"http://127.0.0.1:" + port(specific), specific, true},
		{"ws://localhost:" + port(specific), specific, true},
		{"http://0.0.0.0:" + port(specific), specific, true},
		{"http://[::1]:" + port(specific), specific, false},
		{"http://127.0.0.1:" + port(all), all, true},
		{"http://localhost:" + port(all), all, true},
		{"http://127.0.0.1:" + port(all), specific, false},
		{"http://203.0.113.1:" + port(all), all, false},
		{"http://backend.invalid:" + port(all), all, false},
		{"unix:/run/x.sock", all, false},
	} {
		p, err := proxy.New(proxy.Config{Backend: tt.backend, WebSockets: noInstrumentation(t)})
		check(t, err)
		if err := p.CheckLoop(t.Context(), tt.l); (err != nil) != tt.loop {
			t.Errorf("%s and %s: %v", tt.backend, tt.l.Addr(), err)
		}
	}
}

// If a backend sends and the clients do not read, the proxy needs no more memory than
// one buffer per client.
func TestSlowConsumers(t *testing.T) {
	const consumers = 2000
	if runtime.GOOS != "linux" {
		t.Skip("sets the sizes of sockets' buffers as Linux has them")
	}
	if limit := proxy.MaxDescriptors(); limit < 5*consumers {
		t.Skipf("needs %d descriptors, and may have %d", 5*consumers, limit)
	}
	message := appendFrame(fin|opBinary, nil, make([]byte, 1<<20))
	address, _ := rawBackend(t, func(c net.Conn) {
		_ = c.(*countedConn).Conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
		br := bufio.NewReader(c)
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, switching+"Connection: Upgrade\r\nUpgrade: websocket\r\n"+accept+"\r\n")
		for {
			if _, err := c.Write(message); err != nil {
				return
			}
		}
	})
	g := startProxy(t, proxy.Config{Backend: "http://" + address, Limits: proxy.Limits{BufferBytes: 16 << 20, SocketBytes: 16 << 10}})
	before := heap()
	for range consumers {
		w := dialWire(t, g.address)
		_ = w.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		w.send(t, []byte(handshake("/")))
		head := make([]byte, len(switching))
		if _, err := io.ReadFull(w.Conn, head); err != nil || string(head) != switching {
			t.Fatalf("%q, %v", head, err)
		}
	}
	// Allow for two small buffers per connection, the large buffers, and the memory
	// of net/http on all four ends, which run in this process.
	if grown := heap() - before; grown > consumers*64<<10+16<<20 {
		t.Errorf("the heap has grown by %d MB", grown>>20)
	}
	g.stop()
	g.idle(t)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
