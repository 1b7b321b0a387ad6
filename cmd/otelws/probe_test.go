//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

// probe can use TLS, a subprotocol, an Origin and a message that the server requires.
func TestProbeAsAClient(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "https://example.com" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat.v2"}, OriginPatterns: []string{"example.com"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if c.Subprotocol() != "chat.v2" || string(b) != `{"type":"ping"}` {
				_ = c.Close(websocket.StatusUnsupportedData, "")
				return
			}
			_ = c.Write(r.Context(), typ, b)
		}
	}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	url := "wss" + strings.TrimPrefix(s.URL, "https")
	whole := []string{"--tls.ca", ca, "-H", "Origin: https://example.com", "--subprotocol", "chat.v1", "--subprotocol", "chat.v2", "--message", `{"type":"ping"}`}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{whole, 0, "No limit on age was seen up to 1"},
		{whole[:len(whole)-2], 0, "The server ended a connection after the message, with a close frame (1003)"},
		{whole[2:], 2, "none of 10 handshakes succeeded: dial: TLS (10): tls: failed to verify certificate: x509: "},
		{append([]string{"--tls.insecure-skip-verify"}, whole[4:]...), 2, "answered 403 Forbidden (10)"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"probe", "--max", "1s", "--every", "100ms", "--no-ladder", url}, tt.args...)
		code := run(args, &stdout, &stderr)
		if said := strings.Join(strings.Fields(stdout.String()+stderr.String()), " "); code != tt.code || !strings.Contains(said, tt.want) {
			t.Errorf("%v: exit code %d, %s", tt.args, code, said)
		}
		if code != 2 && stderr.Len() > 0 {
			t.Errorf("without a terminal there is progress: %q", stderr.String())
		}
	}
}

// A signal ends a probe, which prints the result so far.
func TestProbeSignal(t *testing.T) {
	t.Parallel()
	var open atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		defer open.Add(-1)
		open.Add(1)
		for echoMessage(r.Context(), c) == nil {
		}
	}))
	defer s.Close()
	cmd := exec.Command(os.Args[0], "probe", "--max", "1h", "--no-ladder", "--format", "json", "ws"+strings.TrimPrefix(s.URL, "http"))
	cmd.Env = append(os.Environ(), childVar+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	check(t, cmd.Start())
	defer cmd.Process.Kill()
	for ctx := testContext(t); open.Load() < 5 && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
	}
	check(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	var r probe.Result
	check(t, json.Unmarshal(stdout.Bytes(), &r))
	if !r.Interrupted || len(r.Limits) > 0 || len(r.Outcomes) != 10 || stderr.Len() > 0 {
		t.Errorf("got %s%s", stdout.String(), stderr.String())
	}
}
