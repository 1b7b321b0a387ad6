package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthcheck(t *testing.T) {
	demo := startDemo(t, demo{})
	mux := http.NewServeMux()
	mux.HandleFunc("/-/ready", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Not ready: draining", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/evil", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "\x1b]0;mine\aHealthy.\x1b[31m")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	nobody := "http://" + freeAddress(t)

	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // on stdout, or on stderr if the code is not 0
	}{
		{"well", []string{strings.TrimSuffix(demo.metrics, "/metrics") + "/-/healthy"}, 0, "Healthy."},
		{"not ready", []string{server.URL + "/-/ready"}, 1, server.URL + "/-/ready: 503 Service Unavailable Not ready: draining"},
		{"well, it says", []string{server.URL + "/evil"}, 0, " ]0;mine Healthy. [31m"},
		{"no such page", []string{server.URL + "/nothing"}, 1, "404"},
		{"late", []string{"--timeout", "10ms", server.URL + "/hang"}, 1, "no answer within 10ms"},
		{"nobody there", []string{nobody}, 1, nobody + ": dial tcp"},
		{"a password is not shown", []string{strings.Replace(nobody, "//", "//me:secret@", 1)}, 1, "REDACTED@"},
		{"no address", []string{"localhost:9091"}, 1, "http://localhost:9091/-/healthy"},
		{"two addresses", []string{nobody, nobody}, 1, "give only one URL"},
		{"no file", []string{"--http.config.file", "no/such.yml"}, 1, "no/such.yml"},
		{"no time", []string{"--timeout", "0s"}, 1, "--timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(append([]string{"healthcheck"}, tt.args...), &stdout, &stderr)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			said := &stdout
			if tt.code != 0 {
				said = &stderr
			}
			if !strings.Contains(said.String(), tt.want) {
				t.Errorf("it said %q, want %q", said, tt.want)
			}
		})
	}
}
