package proxy_test

import (
	"bufio"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
)

// nodeModules names the variable with a node_modules directory that contains the
// package ws.
const nodeModules = "OTELWS_NODE_MODULES"

//go:embed testdata/echo.js
var nodeServer string

// startNode starts a server with Node's ws, and returns its URL.
func startNode(t *testing.T) string {
	t.Helper()
	modules := os.Getenv(nodeModules)
	if modules == "" {
		t.Skipf("needs node, and %s set to a node_modules directory that holds the package ws", nodeModules)
	}
	modules, err := filepath.Abs(modules)
	check(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "-e", nodeServer)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	return "http://127.0.0.1:" + strings.TrimSpace(port)
}

// sendable are close codes that an application can send: those with their own label
// value and some that share one.
var sendable = map[int]string{
	1000: "1000", 1001: "1001", 1002: "1002", 1003: "1003", 1007: "1007", 1008: "1008", 1009: "1009", 1010: "1010",
	1011: "1011", 1012: "1012", 1013: "1013", 1014: "1014", 3000: "3000", 3999: "3xxx", 4000: "4xxx", 4001: "4001", 4999: "4xxx",
}

// The connections of an unmodified Node server are counted correctly on both sides of
// the proxy.
func TestNode(t *testing.T) {
	g := startProxy(t, proxy.Config{Backend: startNode(t)}, otelws.WithCloseCodes(4001))
	closed := map[string]float64{"1006": 1}
	for code, label := range sendable {
		for _, byServer := range []bool{false, true} {
			closed[label]++
			w := openWire(t, g.address, "/")
			if byServer {
				w.send(t, frame(fin|opText, fmt.Sprintf("close %d", code)))
				w.want(t, fin|opClose, string(closing(code, "as asked")))
				w.send(t, frame(fin|opClose, closing(code, "")))
			} else {
				w.send(t, frame(fin|opClose, closing(code, "bye")))
				w.want(t, fin|opClose, string(closing(code, "bye")))
			}
			if got := w.transcript(); got != "end" {
				t.Errorf("code %d: after the close frames came %s", code, got)
			}
			w.Close()
		}
	}
	closed["1005"]++
	w := openWire(t, g.address, "/")
	w.send(t, frame(fin|opClose, ""))
	w.want(t, fin|opClose, "")
	w.Close()
	openWire(t, g.address, "/").Close()
	g.idle(t)
	for label, n := range closed {
		g.Wait(t, `ws_connections_closed_total{code="`+label+`"}`, n)
		g.Wait(t, `ws_client_connections_closed_total{code="`+label+`"}`, n)
	}
	if v := g.sum("ws_connections_opened_total"); v != float64(2*len(sendable)+2) {
		t.Errorf("%v connections were opened", v)
	}
}

func TestNodeMessages(t *testing.T) {
	g := startProxy(t, proxy.Config{Backend: startNode(t)})
	w := openWire(t, g.address, "/")
	long := strings.Repeat("to be or not to be ", 5000)
	var bytes, count float64
	for _, message := range []string{"hello", "", greek, long} {
		for _, op := range []byte{opText, opBinary} {
			w.send(t, frame(fin|op, message))
			w.want(t, fin|op, message)
			bytes, count = bytes+float64(len(message)), count+1
		}
	}
	for _, b := range [][]byte{frame(opText, "he"), frame(opContinuation, "ll"), frame(fin|opPing, "?"), frame(fin|opContinuation, "o")} {
		w.send(t, b)
	}
	w.want(t, fin|opPong, "?")
	w.want(t, fin|opText, "hello")
	bytes, count = bytes+5, count+1
	w.send(t, frame(fin|opText, "ping"))
	w.want(t, fin|opPing, "are you there")
	bytes, count = bytes+4, count+1
	w.send(t, frame(fin|opPong, "are you there"))
	w.send(t, frame(fin|opClose, closing(1000, "")))
	w.want(t, fin|opClose, string(closing(1000, "")))
	w.Close()
	g.idle(t)

	// Both sides count the same messages in opposite directions.
	for series, want := range map[string]float64{
		"ws_message_bytes_count": count, "ws_message_bytes_sum": bytes,
		"ws_message_sent_bytes_count": count - 1, "ws_message_sent_bytes_sum": bytes - 4,
		"ws_client_message_bytes_count": count - 1, "ws_client_message_bytes_sum": bytes - 4,
		"ws_client_message_sent_bytes_count": count, "ws_client_message_sent_bytes_sum": bytes,
		"ws_heartbeat_rtt_seconds_count": 1, "ws_client_heartbeat_rtt_seconds_count": 1,
		`ws_connections_closed_total{code="1000"}`:                                      1,
		`ws_frames_total{network_io_direction="receive",opcode="continuation"}`:         2,
		`ws_client_frames_total{network_io_direction="transmit",opcode="continuation"}`: 2,
		`ws_connection_duration_seconds_count{code="1000",initiator="peer"}`:            1,
		`ws_client_connection_duration_seconds_count{code="1000",initiator="local"}`:    1,
	} {
		g.Wait(t, series, want)
	}
	if v := g.sum("ws_protocol_errors_total") + g.sum("ws_client_protocol_errors_total"); v != 0 {
		t.Errorf("%v protocol errors", v)
	}
}

// The client and the backend negotiate permessage-deflate through the proxy.
func TestNodeDeflate(t *testing.T) {
	g := startProxy(t, proxy.Config{Backend: startNode(t)})
	c, resp, err := websocket.Dial(testContext(t), "ws://"+g.address, &websocket.DialOptions{
		CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1,
	})
	check(t, err)
	c.SetReadLimit(-1)
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Fatalf("extensions %q", got)
	}
	message := strings.Repeat("to be or not to be ", 5000)
	for range 3 {
		check(t, c.Write(testContext(t), websocket.MessageText, []byte(message)))
		if _, b, err := c.Read(testContext(t)); err != nil || string(b) != message {
			t.Fatalf("%d bytes came back, %v", len(b), err)
		}
	}
	check(t, c.Close(websocket.StatusNormalClosure, ""))
	g.idle(t)
	for _, series := range []string{"ws_message_bytes", "ws_message_sent_bytes", "ws_client_message_bytes", "ws_client_message_sent_bytes"} {
		if n := g.sum(series + "_count"); n != 3 {
			t.Errorf("%s: %v messages, want 3", series, n)
		}
		if v := g.sum(series + "_sum"); v == 0 || v > float64(len(message)) {
			t.Errorf("%s: %v bytes for %d, want them compressed", series, v, 3*len(message))
		}
	}
	if v := g.sum("ws_protocol_errors_total"); v != 0 {
		t.Errorf("%v protocol errors", v)
	}
}

//go:embed testdata/page.html
var page []byte

// A browser loads its page and opens its WebSocket through the proxy.
func TestChromium(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium")
	}
	reported := make(chan string, 1)
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(page)
		case "/report":
			select {
			case reported <- r.URL.Query().Get("text"):
			default:
			}
		case "/echo":
			coderEcho(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	routes, err := proxy.NewRoutes("/echo")
	check(t, err)
	g := startProxy(t, proxy.Config{Backend: b.URL, Routes: routes}, otelws.WithRoutes("/echo"))
	profile, err := os.MkdirTemp("", "chromium")
	check(t, err)
	cmd := exec.CommandContext(t.Context(), chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--remote-debugging-port=0", "--user-data-dir="+profile, "http://"+g.address+"/")
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		eventually(t, "the profile to be removed", func() bool { return os.RemoveAll(profile) == nil })
	})
	select {
	case got := <-reported:
		if want := "chat.v2 permessage-deflate: text hello, binary 3000, code 4001 bye true"; got != want {
			t.Errorf("the page reports %q, want %q", got, want)
		}
	case <-testContext(t).Done():
		t.Fatal("the page did not report")
	}
	g.Wait(t, `ws_connections_closed_total{code="4xxx",http_route="/echo"}`, 1)
	g.Wait(t, "ws_message_bytes_count", 2)
	g.Wait(t, "ws_client_message_bytes_count", 2)
}
