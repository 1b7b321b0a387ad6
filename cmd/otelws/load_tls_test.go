package main

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestLoadTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != "a: b" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for echoMessage(r.Context(), c) == nil {
		}
	}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	url := "wss" + strings.TrimPrefix(s.URL, "https")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--tls.ca", ca, "--header", "X-Token: a: b"}, 0, ""},
		{[]string{"--tls.insecure-skip-verify", "-H", "X-Token: a: b"}, 0, ""},
		{[]string{"-H", "X-Token: a: b"}, 2, "dial: TLS (2)"},
		{[]string{"--tls.insecure-skip-verify"}, 2, "answered 403 Forbidden (2)"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"load", "-q", "-c", "2", "--ramp", "0s", "-n", "100", url}, tt.args...)
		if code := run(args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: exit code %d, %s%s", tt.args, code, stdout.String(), stderr.String())
		}
	}
}
