package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/pflag"
)

// startProxy runs the command in this process, on free ports.
func startProxy(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, w := io.Pipe()
	cmd := newProxyCommand(&globalFlags{logLevel: slog.LevelError})
	cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}, args...))
	cmd.SetOut(w)
	cmd.SetErr(io.Discard)
	result := make(chan error, 1)
	go func() {
		result <- cmd.ExecuteContext(ctx)
		w.Close()
	}()
	r := readProxyPlaces(t, out)
	stopped := false
	r.stop = func() error {
		stopped = true
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(waitLimit):
			return fmt.Errorf("the proxy did not end")
		}
	}
	t.Cleanup(func() {
		if !stopped {
			check(t, r.stop())
		}
	})
	return r
}

// readProxyPlaces parses the first lines that a proxy prints.
func readProxyPlaces(t *testing.T, out io.Reader) *running {
	t.Helper()
	words := readWords(t, out, 4)
	r := &running{words: words}
	for i, word := range words[:max(0, len(words)-1)] {
		switch word {
		case "Proxy:":
			r.url = "ws" + strings.TrimPrefix(words[i+1], "http")
		case "Metrics:":
			r.metrics = words[i+1]
		}
	}
	if r.url == "" || r.metrics == "" {
		t.Fatalf("the proxy printed %q", words)
	}
	return r
}

func startEcho(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for echoMessage(r.Context(), c) == nil {
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// The metrics have the series of both sides. The public listener has none of the
// pages of the metrics listener.
func TestProxy(t *testing.T) {
	backend := startEcho(t)
	r := startProxy(t, "--backend", backend.URL, "--route", "/chat/{room}", "--close-code", "4001", "--close-code", "4002")
	before := r.scrape(t)
	for _, name := range []string{`ws_connections_active{http_route="/chat/{room}"}`, "ws_client_connections_active", "process_open_fds"} {
		if _, ok := before[name]; !ok {
			t.Errorf("before any client there is no %s", name)
		}
	}
	c := r.dial(t, "/chat/lobby")
	check(t, c.Write(testContext(t), websocket.MessageText, []byte("hello")))
	if _, b, err := c.Read(testContext(t)); err != nil || string(b) != "hello" {
		t.Errorf("echo %q, %v", b, err)
	}
	r.waitForValue(t, `ws_connections_active{http_route="/chat/{room}"}`, 1)
	r.waitForValue(t, "ws_client_connections_active", 1)
	check(t, c.Close(4001, "bye"))
	r.waitForValue(t, `ws_connections_closed_total{code="4001",http_route="/chat/{room}"}`, 1)
	r.waitForValue(t, `ws_client_connections_closed_total{code="4001"}`, 1)

	pages := strings.TrimSuffix(r.metrics, "/metrics")
	for path, want := range map[string]string{"/-/healthy": "Healthy.\n", "/-/ready": "Ready.\n"} {
		if resp := get(t, pages+path); resp.status != http.StatusOK || resp.body != want {
			t.Errorf("%s: %d %q", path, resp.status, resp.body)
		}
		public := get(t, "http"+strings.TrimPrefix(r.url, "ws")+path)
		if public.status != http.StatusUpgradeRequired {
			t.Errorf("%s on the public listener: status %d, want the backend's", path, public.status)
		}
	}
	backend.Close()
	r.waitForStatus(t, pages+"/-/ready", http.StatusServiceUnavailable)
}

func (r *running) waitForStatus(t *testing.T, url string, status int) {
	t.Helper()
	for end := time.Now().Add(waitLimit); get(t, url).status != status; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come to answer %d", url, status)
		}
	}
}

func TestProxyErrors(t *testing.T) {
	backend := []string{"--backend", "http://localhost:3000"}
	none := t.TempDir() + "/none"
	bad := t.TempDir() + "/bad"
	check(t, os.WriteFile(bad, []byte("no PEM"), 0o600))
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"no backend", nil, []string{"--backend", "URL"}},
		{"backend no URL", []string{"--backend", "localhost:3000"}, []string{"backend", "localhost:3000", "use a URL"}},
		{"backend scheme", []string{"--backend", "tcp://localhost:3000"}, []string{"backend", "use the scheme"}},
		{"no key", append(backend, "--tls.cert", none), []string{"--tls.key", "both or neither"}},
		{"no PEM certificate", append(backend, "--tls.cert", none, "--tls.key", none), []string{"certificate", none}},
		{"bad certificate", append(backend, "--tls.cert", bad, "--tls.key", bad), []string{"certificate"}},
		{"no authorities", []string{"--backend", "https://localhost", "--backend.ca", none}, []string{none}},
		{"bad authorities", []string{"--backend", "https://localhost", "--backend.ca", bad}, []string{bad, "no PEM certificate"}},
		{"TLS for http", append(backend, "--backend.ca", none), []string{"does not use TLS"}},
		{"skip for http", append(backend, "--backend.insecure-skip-verify"), []string{"does not use TLS"}},
		{"name for http", append(backend, "--backend.server-name", "x"), []string{"does not use TLS"}},
		{"connect timeout", append(backend, "--backend.connect-timeout", "-1s"), []string{"--backend.connect-timeout", "-1s"}},
		{"response timeout", append(backend, "--backend.response-timeout", "-1s"), []string{"--backend.response-timeout", "-1s"}},
		{"drain timeout", append(backend, "--drain.timeout", "soon"), []string{"--drain.timeout", "soon"}},
		{"drain spread", append(backend, "--drain.spread", "25s"), []string{"--drain.spread", "--drain.timeout 25s"}},
		{"drain spread negative", append(backend, "--drain.spread", "-1s"), []string{"--drain.spread", "-1s"}},
		{"drain code", append(backend, "--drain.code", "1006"), []string{"--drain.code 1006", "1012"}},
		{"drain code of a client", append(backend, "--drain.code", "1010"), []string{"--drain.code 1010", "1012"}},
		{"heartbeat", append(backend, "--heartbeat", "-1s"), []string{"--heartbeat -1s"}},
		{"backend heartbeat", append(backend, "--backend.heartbeat", "-1s"), []string{"--backend.heartbeat -1s"}},
		{"forwarded", append(backend, "--forwarded", "maybe"), []string{"--forwarded", "maybe", "append, replace or off"}},
		{"route", append(backend, "--route", "/{"), []string{"--route", `"/{"`}},
		{"route with a method", append(backend, "--route", "GET /x"), []string{"--route", "without a method"}},
		{"route twice", append(backend, "--route", "/x", "--route", "/x"), []string{"--route", "conflicts"}},
		{"subprotocol", append(backend, "--subprotocol", ""), []string{"subprotocol", "empty"}},
		{"close code", append(backend, "--close-code", "1000"), []string{"1000"}},
		{"close code no number", append(backend, "--close-code", "x"), []string{"--close-code"}},
		{"listen", append(backend, "--listen", "localhost"), []string{"--listen", "missing port"}},
		{"metrics", append(backend, "--metrics", "localhost"), []string{"--metrics", "missing port"}},
		{"web config", append(backend, "--web.config.file", none), []string{"--web.config.file", none}},
		{"argument", append(backend, "now"), []string{"now"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			args := append([]string{"proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}, tt.args...)
			if code := run(args, &stdout, &stderr); code == 0 || stdout.Len() > 0 {
				t.Errorf("exit code %d, stdout %q", code, stdout.String())
			}
			line, rest, _ := strings.Cut(stderr.String(), "\n")
			if rest != "" || !strings.HasPrefix(line, "otelws: ") {
				t.Errorf("stderr: %s", stderr.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("stderr: %s\nlacks %q", line, want)
				}
			}
		})
	}
}

// Every flag has a help text.
func TestProxyHelp(t *testing.T) {
	var stdout, stderr strings.Builder
	if code := run([]string{"proxy", "--help"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	newProxyCommand(&globalFlags{}).Flags().VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" || !strings.Contains(stdout.String(), "--"+f.Name) {
			t.Errorf("--%s has no text", f.Name)
		}
	})
}
