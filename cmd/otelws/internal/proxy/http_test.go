package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
)

// The request that the backend sees, and the response that the client gets.
func TestRequestsPassThrough(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			http.Redirect(w, r, "/here", http.StatusFound)
			return
		}
		w.Header().Add("X-Two", "1")
		w.Header().Add("X-Two", "2")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s host=%s", r.Method, r.RequestURI, r.Host)
		for _, name := range []string{"Origin", "Authorization", "Cookie", "User-Agent", "Accept-Encoding", "Via"} {
			fmt.Fprintf(w, " %s=%q", name, r.Header[name])
		}
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	resp := request(t, "POST", "http://"+g.address+"/a%2Fb//c?x=1;y=%zz&q=a+b", nil,
		"Host", "shop.example", "Origin", "https://shop.example", "Authorization", "Bearer t", "Cookie", "a=b", "User-Agent", "x")
	want := `POST /a%2Fb//c?x=1;y=%zz&q=a+b host=shop.example Origin=["https://shop.example"] Authorization=["Bearer t"] Cookie=["a=b"] User-Agent=["x"] Accept-Encoding=[] Via=[]`
	if got := readAll(t, resp.Body); resp.StatusCode != http.StatusTeapot || got != want {
		t.Errorf("status %d\n got %s\nwant %s", resp.StatusCode, got, want)
	}
	if got := resp.Header["X-Two"]; len(got) != 2 {
		t.Errorf("X-Two: %q", got)
	}
	if got := request(t, "GET", "http://"+g.address+"/gone", nil).Header.Get("Location"); got != "/here" {
		t.Errorf("Location %q", got)
	}
	// The proxy reserves no paths on the public listener.
	for _, path := range []string{"/-/ready", "/-/healthy", "/metrics"} {
		if got := request(t, "GET", "http://"+g.address+path, nil); got.StatusCode != http.StatusTeapot {
			t.Errorf("%s: status %d, want the backend's", path, got.StatusCode)
		}
	}
}

func TestHost(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	g := startProxy(t, proxy.Config{Backend: b.URL, Host: "inner.example"})
	if got := readAll(t, request(t, "GET", "http://"+g.address, nil, "Host", "shop.example").Body); got != "inner.example" {
		t.Errorf("host %q", got)
	}
}

func TestBackendPath(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) }))
	g := startProxy(t, proxy.Config{Backend: b.URL + "/base/"})
	if got := readAll(t, request(t, "GET", "http://"+g.address+"/x/?q", nil).Body); got != "/base/x/?q" {
		t.Errorf("the backend is asked for %s", got)
	}
}

// A backend that closes an idle connection may do so when the next request is on its way.
// The proxy repeats the request if its method allows that.
func TestIdleConnectionCloses(t *testing.T) {
	for _, tt := range []struct {
		method string
		body   string
		status int
	}{{"GET", "", 200}, {"DELETE", "", 200}, {"PUT", "", 200}, {"DELETE", "x", 502}, {"PUT", "x", 502}, {"POST", "", 502}, {"PATCH", "", 502}} {
		t.Run(tt.method+" "+tt.body, func(t *testing.T) {
			address, _ := rawBackend(t, func(c net.Conn) { // answers one request of each connection
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%v", len(fmt.Sprint(r.Header)), r.Header)
					_, _ = c.Read(make([]byte, 1))
				}
			})
			g := startProxy(t, proxy.Config{Backend: "http://" + address})
			readAll(t, request(t, "GET", "http://"+g.address, nil).Body)
			resp := request(t, tt.method, "http://"+g.address, strings.NewReader(tt.body))
			if body := readAll(t, resp.Body); resp.StatusCode != tt.status || strings.Contains(body, "Idempotency") {
				t.Errorf("status %d, want %d; the backend sees %s", resp.StatusCode, tt.status, body)
			}
		})
	}
}

// The proxy forwards each part of a streamed response at once.
func TestStream(t *testing.T) {
	next := make(chan struct{})
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", "18")
		}
		for i := range 3 {
			fmt.Fprintf(w, "part%d\n", i)
			http.NewResponseController(w).Flush()
			<-next
		}
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	for _, query := range []string{"type=text/event-stream", "type=text/plain", "type=text/plain&length"} {
		resp := request(t, "GET", "http://"+g.address+"/?"+query, nil)
		lines := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			if want := fmt.Sprintf("part%d\n", i); err != nil || line != want {
				t.Fatalf("%s: %q, %v; want %q", query, line, err, want)
			}
			next <- struct{}{}
		}
	}
}

func TestLargeUpload(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, _ := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x", n, h.Sum(nil))
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	body := bytes.Repeat([]byte("0123456789abcdef"), 2<<20)
	want := fmt.Sprintf("%d %x", len(body), sha256.Sum256(body))
	for name, r := range map[string]io.Reader{"length": bytes.NewReader(body), "chunked": io.MultiReader(bytes.NewReader(body))} {
		if got := readAll(t, request(t, "PUT", "http://"+g.address, r).Body); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestHeaderSizes(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("y", 100<<10))
		fmt.Fprint(w, len(r.Header.Get("X-Long")))
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	resp := request(t, "GET", "http://"+g.address, nil, "X-Long", strings.Repeat("x", 60<<10))
	if got := readAll(t, resp.Body); got != fmt.Sprint(60<<10) || len(resp.Header.Get("X-Long")) != 100<<10 {
		t.Errorf("%s bytes arrived, and %d came back", got, len(resp.Header.Get("X-Long")))
	}
	w := dialWire(t, g.address)
	w.send(t, []byte("GET / HTTP/1.1\r\nHost: test\r\nX-Long: "+strings.Repeat("x", 69<<10)+"\r\n\r\n"))
	if resp := w.response(t); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %s, want 431", resp.Status)
	}
}

func TestSubprotocol(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL}, otelws.WithSubprotocols("chat.v2"))
	c, resp, err := websocket.Dial(testContext(t), "ws://"+g.address, &websocket.DialOptions{Subprotocols: []string{"chat.v9", "chat.v2"}})
	check(t, err)
	if c.Subprotocol() != "chat.v2" || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("subprotocol %q, status %s", c.Subprotocol(), resp.Status)
	}
	check(t, c.Close(websocket.StatusNormalClosure, ""))
	g.Wait(t, `ws_connections_closed_total{code="1000",subprotocol="chat.v2"}`, 1)
	g.Wait(t, `ws_client_connections_closed_total{code="1000",subprotocol="chat.v2"}`, 1)
}

// Routes decide only how connections are counted. Paths that match no route count as
// "other", and the backend receives every path unchanged.
func TestRoutes(t *testing.T) {
	paths := make(chan string, 100)
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.RequestURI
		http.Error(w, "no", http.StatusForbidden)
	}))
	patterns := []string{"/chat/{room}", "/feed", "/tree/"}
	routes, err := proxy.NewRoutes(patterns...)
	check(t, err)
	g := startProxy(t, proxy.Config{Backend: b.URL, Routes: routes}, otelws.WithRoutes(patterns...))
	want := map[string]string{
		"/chat/a": "/chat/{room}", "/chat/a%2Fb": "/chat/{room}", "/chat/a/b": "other", "/chat//a": "other", "/chat/": "other",
		"/feed": "/feed", "/feed?x=1": "/feed", "/feed/": "other", "/tree": "other", "/tree/x/y": "/tree/", "/x/../feed": "other", "/": "other",
	}
	counts := map[string]float64{}
	for path, route := range want {
		w := dialWire(t, g.address)
		w.send(t, []byte(handshake(path)))
		if resp := w.response(t); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %s, want the backend's", path, resp.Status)
		}
		counts[route]++
	}
	for route, n := range counts {
		g.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="403",http_route="`+route+`"}`, n)
	}
	for range want {
		path := <-paths
		if _, ok := want[path]; !ok {
			t.Errorf("the backend was asked for %s", path)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	b := httptest.NewUnstartedServer(http.HandlerFunc(coderEcho))
	path := t.TempDir() + "/app.sock"
	b.Listener.Close()
	b.Listener = listenUnix(t, path)
	b.Start()
	t.Cleanup(b.Close)
	g := startProxy(t, proxy.Config{Backend: "unix:" + path})
	check(t, g.Ready(t.Context()))
	w := openWire(t, g.address, "/")
	w.send(t, frame(fin|opText, "hello"))
	w.want(t, fin|opText, "hello")
	w.Close()
	g.idle(t)
}
