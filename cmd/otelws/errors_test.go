package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

func TestErrorsAreOneLine(t *testing.T) {
	taken := listenLocal(t).Addr().String()
	bad := filepath.Join(t.TempDir(), "bad.yml")
	check(t, os.WriteFile(bad, []byte("tls_server_conf: 1\nfoo: bar\n"), 0o600))

	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"address in use", []string{"demo", "--listen", taken}, []string{"--listen", taken, "in use"}},
		{"metrics address in use", []string{"demo", "--metrics", taken}, []string{"--metrics", taken, "in use"}},
		{"no port", []string{"demo", "--listen", "localhost"}, []string{"--listen", "localhost", "host:port"}},
		{"no file", []string{"demo", "--web.config.file", "no/such.yml"}, []string{"--web.config.file", "no/such.yml"}},
		{"bad file", []string{"demo", "--web.config.file", bad}, []string{"--web.config.file", bad, "tls_server_conf", "foo"}},
		{"no duration", []string{"demo", "--heartbeat", "often"}, []string{"--heartbeat", "often", "such as 30s"}},
		{"negative heartbeat", []string{"demo", "--heartbeat", "-1s"}, []string{"--heartbeat", "-1s"}},
		{"short heartbeat", []string{"demo", "--heartbeat", "5us"}, []string{"otelws: invalid heartbeat interval 5µs: use at least 1ms"}},
		{"no number", []string{"demo", "--clients", "many"}, []string{"--clients", "many", "use a number"}},
		{"too many clients", []string{"demo", "--clients", "100000000"}, []string{"--clients 100000000", "up to 100000"}},
		{"negative number", []string{"demo", "--clients", "-1"}, []string{"--clients", "-1"}},
		{"log level", []string{"demo", "--log.level", "loud"}, []string{"--log.level", "loud", "debug, info, warn or error"}},
		{"unknown flag", []string{"demo", "--port", "80"}, []string{"--port", "otelws demo --help"}},
		{"unknown argument", []string{"demo", "now"}, []string{"now"}},
		{"unknown command", []string{"dmo"}, []string{"dmo", "demo"}},
		{"nothing to check", []string{"check"}, []string{"http://localhost:9091/metrics"}},
		{"nothing to load", []string{"load"}, []string{"ws://localhost:8080/echo"}},
		{"nothing to probe", []string{"probe"}, []string{"wss://example.com/ws"}},
		{"probe of no WebSocket", []string{"probe", "ftp://localhost"}, []string{"ftp://localhost", "ws://"}},
		{"probe of the address of a page", []string{"probe", "--no-ladder", "http://127.0.0.1:1/a"}, []string{"ws://127.0.0.1:1/a: none of 10 handshakes succeeded"}},
		{"load of the address of a page", []string{"load", "-n", "1", "-q", "HTTPS://127.0.0.1:1/a"}, []string{"wss://127.0.0.1:1/a: none of "}},
		{"check of a dead port", []string{"check", "127.0.0.1:1"}, []string{"http://127.0.0.1:1/metrics: ", "connection refused: ", "start the server"}},
		{"top of a dead port", []string{"top", "--once", "127.0.0.1:1"}, []string{"http://127.0.0.1:1/debug/ws: ", "connection refused: ", "start the server"}},
		{"probe for too short", []string{"probe", "--max", "10ms", "localhost"}, []string{"--max 10ms", "1s or more"}},
		{"probe too seldom", []string{"probe", "--max", "2s", "--every", "2s", "localhost"}, []string{"--every 2s", "half of --max"}},
		{"probe without time", []string{"probe", "--timeout", "0s", "localhost"}, []string{"--timeout 0s"}},
		{"probe of nobody", []string{"probe", "--no-ladder", "127.0.0.1:1"}, []string{"ws://127.0.0.1:1: none of 10 handshakes succeeded: dial: refused (10): is the server running, and is this its port?"}},
		{"load with a header of the handshake", []string{"load", "-H", "sec-websocket-key: a", "127.0.0.1:1"}, []string{"--header", "leave out Sec-Websocket-Key"}},
		{"probe with a subprotocol as a header", []string{"probe", "-H", "Sec-WebSocket-Protocol: a", "127.0.0.1:1"}, []string{"--header", "use --subprotocol instead of"}},
		{"two to load", []string{"load", "a", "b"}, []string{`"b"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			free := freeAddress(t)
			args := tt.args
			if args[0] == "demo" {
				// Those given in the test come last and win.
				args = append([]string{"demo", "--listen", free, "--metrics", "127.0.0.1:0"}, args[1:]...)
			}
			var stdout, stderr bytes.Buffer
			if code := run(args, &stdout, &stderr); code == 0 {
				t.Error("exit code 0")
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout: %s", stdout.String())
			}
			line, rest, _ := strings.Cut(stderr.String(), "\n")
			if rest != "" || !strings.HasPrefix(line, "otelws: ") || strings.HasPrefix(line, "otelws: otelws: ") {
				t.Errorf("stderr: %s", stderr.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("stderr: %s\nlacks %q", line, want)
				}
			}
			l, err := net.Listen("tcp", free)
			if err != nil {
				t.Fatalf("the other address is still bound: %v", err)
			}
			l.Close()
		})
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l := listenLocal(t)
	l.Close()
	return l.Addr().String()
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{arg}, &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "otelws v") {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", arg, code, stdout.String(), stderr.String())
		}
	}
}

// A server can't reach the terminal through an error.
func TestErrorsHaveNoControlCharacters(t *testing.T) {
	l := listenLocal(t)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 503 \x1b]0;mine\a\x1b[31m\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	}()
	for _, args := range [][]string{{"check"}, {"top", "--once"}, {"load", "-q", "-n", "1"}, {"probe", "-q", "--no-ladder", "--max", "1s", "--every", "250ms"}, {"healthcheck"}} {
		address := l.Addr().String()
		if args[0] == "healthcheck" {
			address = "http://" + address
		}
		var stdout, stderr bytes.Buffer
		if code := run(append(args, address), &stdout, &stderr); code == 0 {
			t.Errorf("%s: exit code 0", args[0])
		}
		text, ended := strings.CutSuffix(stdout.String()+stderr.String(), "\n")
		if !ended || !strings.Contains(text, "503") || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%s: %q", args[0], text)
		}
	}
}
