package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel"
)

// token is a secret that the test puts everywhere, and that no output may contain.
const token = "s3cret"

// wantNoSecret checks text that a command printed or sent.
func wantNoSecret(t *testing.T, what, text string) {
	t.Helper()
	if i := strings.Index(strings.ToLower(text), token); i >= 0 {
		t.Errorf("%s holds a secret: ...%.120q", what, text[max(0, i-60):])
	}
}

// The output of a command contains no users, passwords, tokens or fragments of
// addresses, on success and on failure.
func TestCommandsHideSecrets(t *testing.T) {
	echo := startEcho(t)
	host := strings.TrimPrefix(echo.URL, "http://")
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "# TYPE ws_connections_active gauge\nws_connections_active 0\n")
	}))
	defer metrics.Close()
	exposed := strings.TrimPrefix(metrics.URL, "http://")
	down := listenLocal(t)
	down.Close()
	const user, query = "me-" + token + ":" + token + "@", "?token=" + token + "&" + token + "#" + token
	json := filepath.Join(t.TempDir(), "result.json")
	load := []string{"load", "--messages", "3", "--connections", "1", "--ramp", "0s", "--timeout", "1s", "--verify.timeout", "10ms"}
	probe := []string{"probe", "--max", "1s", "--every", "100ms", "--timeout", "1s", "--no-ladder"}
	for _, args := range [][]string{
		append(load, "--json", json, "ws://"+user+host+"/echo"+query),
		append(load, "--format", "json", "ws://"+user+host+"/echo"+query),
		append(load, "--verify", "http://"+user+exposed+"/metrics"+query, "ws://"+host+"/echo"),
		append(load, "--verify", "http://"+user+down.Addr().String()+"/metrics"+query, "ws://"+host+"/echo"),
		append(load, "ws://"+user+down.Addr().String()+"/"+query),
		append(load, "tcp://"+user+host+query),
		append(load, user+host+query),
		append(load, host+query),
		append(load, "ws://"+user+host+":port/"+query),
		append(load, "ws://me:"+token+"/"+token+"@"+host),
		append(load, "--header", token, "ws://"+host),
		append(load, "ws://"+host, "ws://"+user+host+query),
		append(probe, "ws://"+user+host+"/echo"+query),
		append(probe, "--format", "json", "ws://"+user+host+"/echo"+query),
		append(probe, "ws://"+user+down.Addr().String()+"/"+query),
		append(probe, "tcp://"+user+host+query),
		append(probe, "--header", token, "ws://"+host),
		append(probe, "--message", token, "-H", "Authorization: Bearer "+token, "ws://"+host+"/echo"),
		{"check", "--interval", "0s", "http://" + user + exposed + "/metrics" + query},
		{"check", "--interval", "0s", "--format", "json", "http://" + user + exposed + "/metrics" + query},
		{"check", "--interval", "0s", "http://" + user + down.Addr().String() + "/metrics" + query},
		{"check", "--interval", "0s", "--websocket", "ws://" + user + host + query, "http://" + exposed + "/metrics"},
		{"check", "--interval", "0s", "--websocket", "ws://" + user + down.Addr().String() + query, "http://" + exposed + "/metrics"},
		{"check", "--websocket", "http://" + user + host + query, "http://" + exposed},
		{"check", "http://" + user + host + query, "http://" + user + host + query},
		{"check", "1", "2", "http://" + user + host + query},
		{"proxy", "--backend", "http://" + user + host},
		{"proxy", "--backend", "http://" + host + "/" + query},
		{"proxy", "--backend", user + host},
		{"proxy", "--backend", "tcp://" + user + host + query},
		{"proxy", "--backend", "http://" + user + ":80/" + query},
		{"proxy", "--backend", "http://" + user + "localhost:99999"},
		{"proxy", "--backend", "http://" + user + host + query, "--backend.insecure-skip-verify"},
		{"proxy", "http://" + user + host + query},
		{"demo", "http://" + user + host + query},
		{"http://" + user + host + query},
	} {
		var stdout, stderr strings.Builder
		run(args, &stdout, &stderr)
		what := strings.ReplaceAll(strings.Join(args, " "), token, "")
		if stdout.Len()+stderr.Len() == 0 {
			t.Errorf("%s: nothing was printed", what)
		}
		wantNoSecret(t, "stdout of "+what, stdout.String())
		wantNoSecret(t, "stderr of "+what, stderr.String())
	}
	result, err := os.ReadFile(json)
	check(t, err)
	wantNoSecret(t, "--json", string(result))
	if !strings.Contains(string(result), host) {
		t.Errorf("--json does not say which server it was: %s", result)
	}
}

// collector stores the OTLP requests that it receives.
type collector struct {
	mu   sync.Mutex
	sent bytes.Buffer
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.Copy(&c.sent, r.Body)
}

// talkative is a backend that sends additional bytes after its response.
func talkative(t *testing.T) (address string) {
	t.Helper()
	l := listenLocal(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nSet-Cookie: session="+token+"\r\nContent-Length: 0\r\n\r\n")
			c.Close()
		}
	}()
	return l.Addr().String()
}

// Logs, metrics and traces of the servers contain nothing from the queries and
// headers of clients.
func TestServersHideSecrets(t *testing.T) {
	backend := startEcho(t)
	defer otel.SetErrorHandler(otel.GetErrorHandler())
	for _, args := range [][]string{
		{"proxy", "--backend", backend.URL, "--log.connections", "--log.level", "debug"},
		{"proxy", "--backend", "http://127.0.0.1:1", "--log.connections", "--log.level", "debug"},
		{"proxy", "--backend", "http://" + talkative(t), "--log.connections", "--log.level", "debug"},
		{"demo", "--log.level", "debug"},
	} {
		t.Run(strings.Join(args[:min(3, len(args))], " "), func(t *testing.T) {
			c := new(collector)
			otlp := httptest.NewServer(c)
			defer otlp.Close()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.URL)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
			read := readProxyPlaces
			if args[0] == "demo" {
				read = readPlaces
			}
			p := startProcess(t, read, append(args, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")...)
			address := strings.Replace(p.url, "ws://", "ws://"+token+":"+token+"@", 1) + "/echo?token=" + token + "&id=" + token
			header := http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"session=" + token}, "Baggage": {"a=" + token}}
			if args[0] == "proxy" { // the proxy does not continue a client's trace
				header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
				header.Set("Tracestate", "a="+token)
			}
			for range 3 {
				conn, _, err := websocket.Dial(testContext(t), address, &websocket.DialOptions{HTTPHeader: header})
				if err != nil {
					continue
				}
				_ = conn.Write(testContext(t), websocket.MessageText, []byte(token))
				_, _, _ = conn.Read(testContext(t))
				_ = conn.Close(websocket.StatusNormalClosure, "")
			}
			get(t, strings.Replace(p.url, "ws", "http", 1)+"/?token="+token)
			r, err := http.NewRequestWithContext(testContext(t), http.MethodGet, p.metrics, nil)
			check(t, err)
			r.Header.Set("Accept", "application/openmetrics-text")
			resp, err := http.DefaultClient.Do(r)
			check(t, err)
			defer resp.Body.Close()
			scrape, err := io.ReadAll(resp.Body)
			check(t, err)
			wantNoSecret(t, "the scrape", string(scrape))

			check(t, p.cmd.Process.Signal(os.Interrupt))
			if err := p.wait(t); err != nil {
				t.Error(err)
			}
			wantNoSecret(t, "the log", p.log.String())
			c.mu.Lock()
			defer c.mu.Unlock()
			wantNoSecret(t, "what was exported", c.sent.String())
			if !strings.Contains(c.sent.String(), "url.path") || !strings.Contains(string(scrape), "ws_connections_opened") {
				t.Error("nothing was exported")
			}
		})
	}
}
