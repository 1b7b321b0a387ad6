package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
)

// The demo's series match a load of all kinds, to the message.
func TestLoadDemo(t *testing.T) {
	r := startDemo(t, demo{})
	file := filepath.Join(t.TempDir(), "result.json")
	var stdout, stderr bytes.Buffer
	args := []string{"load", "--connections", "20", "--ramp", "50ms", "--messages", "5000", "--size", "64:8,1-4KiB:2,100KiB:1",
		"--drop", "0.25", "--slow", "0.1", "--slow.pause", "1ms", "--heartbeat", "20ms", "--quiet",
		"--json", file, "--verify", r.metrics, r.url + "/echo"}
	if code := run(args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d, stderr %q:\n%s", code, stderr.String(), stdout.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", stderr.String())
	}
	for _, want := range []string{"the server's metrics: agrees", "p99.9", "round trip", "p95", "1006", "█", r.url + "/echo\n  20 connections"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, stdout.String())
		}
	}
	var result load.Result
	b, err := os.ReadFile(file)
	check(t, err)
	check(t, json.Unmarshal(b, &result))
	if result.Messages.Sent != 5000 || result.Messages.Received != 5000 || result.Connections.Dropped != 5 {
		t.Errorf("got %+v", result)
	}
}

// Without a terminal, progress is printed as lines, and not into the result.
func TestLoadProgress(t *testing.T) {
	var b bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	showProgress(&b, time.Millisecond, loadProgress)(ctx, func() load.Snapshot {
		if n++; n == 3 {
			cancel()
		}
		return load.Snapshot{Share: 0.5, Sent: int64(n)}
	})
	lines := strings.Split(b.String(), "\n")
	if len(lines) < 4 || !strings.Contains(lines[2], " 3 sent") || strings.ContainsAny(b.String(), "\r\x1b") {
		t.Errorf("got %q", b.String())
	}
}

func TestProgressFits(t *testing.T) {
	s := load.Snapshot{Elapsed: 1500 * time.Millisecond, Share: 0.5, Active: 3, Sent: 20, Received: 19, Errors: 1}
	text := " 50 %  1.5s  1 errors  20 sent  19 received  3 open"
	for columns, want := range map[int]string{
		100: "[===============               ] " + text,
		65:  "[=====     ] " + text,
		52:  text,
		40:  " 50 %  1.5s  1 errors  20 sent  3 open",
		20:  " 50 %  1.5s  3 open",
		25:  " 50 %  1.5s  1 errors",
		5:   " 50 ",
		0:   "",
	} {
		if got := loadProgress(s).line(columns); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	const url = "ws://127.0.0.1:1/echo"
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{}, "give the address"},
		{[]string{"ftp://127.0.0.1:1"}, "ftp://127.0.0.1:1: use an address such as ws://"},
		{[]string{"--connections", "0", url}, "--connections 0"},
		{[]string{"--connections", "many", url}, "--connections"},
		{[]string{"--ramp", "-1s", url}, "--ramp -1s"},
		{[]string{"--duration", "0s", url}, "--duration 0s"},
		{[]string{"--messages", "-1", url}, "--messages -1"},
		{[]string{"--size", "big", url}, "--size"},
		{[]string{"--rate", "-1", url}, "--rate -1"},
		{[]string{"--rate", "NaN", url}, "--rate NaN"},
		{[]string{"--rate", "1e-12", url}, "--rate 1e-12"},
		{[]string{"--drop", "2", url}, "--drop 2"},
		{[]string{"--slow", "-0.1", url}, "--slow -0.1"},
		{[]string{"--slow", "0.1", "--no-echo", url}, "--slow"},
		{[]string{"--header", "nonsense", url}, "--header"},
		{[]string{"--tls.ca", "no/such.pem", url}, "--tls.ca"},
		{[]string{"--json", "no/such/dir.json", url}, "--json"},
		{[]string{"--format", "xml", url}, "--format"},
		{[]string{"--timeout", "0s", url}, "--timeout 0s"},
		{[]string{"--verify", "no/file", url}, "--verify no/file"},
		{[]string{"--verify", "http://127.0.0.1:1/metrics", url}, "--verify http://127.0.0.1:1/metrics"},
		{[]string{"--verify", "http://x", "--verify.http.config.file", "no/such.yml", url}, "--verify.http.config.file no/such.yml"},
		{[]string{"--connections", "2", url}, url + ": none of 2 handshakes succeeded: dial: refused (2)"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(append([]string{"load", "--ramp", "0s"}, tt.args...), &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			said := stderr.String()
			if strings.Count(said, "\n") != 1 || stdout.Len() > 0 || !strings.Contains(said, tt.want) {
				t.Errorf("stderr %q, stdout %q, want a line with %q", said, stdout.String(), tt.want)
			}
		})
	}
}

// A server that does not echo is an error of the run.
func TestLoadExitCode(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, append(b, '!')) != nil {
				return
			}
		}
	}))
	defer s.Close()
	var stdout, stderr bytes.Buffer
	args := []string{"load", "-q", "--connections", "2", "--ramp", "0s", "--messages", "2", "ws" + strings.TrimPrefix(s.URL, "http")}
	if code := run(args, &stdout, &stderr); code != 1 || stderr.Len() > 0 || !strings.Contains(stdout.String(), "message: ") {
		t.Errorf("exit code %d, stderr %q:\n%s", code, stderr.String(), stdout.String())
	}
}
