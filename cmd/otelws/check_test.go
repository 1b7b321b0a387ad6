package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The check finds no fault in the demo with clients.
func TestCheckDemo(t *testing.T) {
	r := startDemo(t, demo{clients: 20, heartbeat: 200 * time.Millisecond, pace: 20 * time.Millisecond})
	r.waitFor(t, "messages and round trips", func(s samples) bool {
		return s["ws_heartbeat_rtt_seconds_count"] > 10 && s["ws_message_bytes_count"] > 100 &&
			s[`ws_connections_closed_total{code="1000",http_route="/echo"}`] > 0
	})
	var stdout, stderr bytes.Buffer
	args := []string{"check", "--strict", "--interval", "10ms", "--websocket", r.url + "/echo", r.metrics}
	if code := run(args, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d, stderr %q:\n%s", code, stderr.String(), stdout.String())
	}
	if got := strings.Count(stdout.String(), "\nok "); got < 9 { // one more with silence, if enough connections have ended
		t.Errorf("%d lines begin with ok after the first, want 9 or 10:\n%s", got, stdout.String())
	}
	if strings.Contains(stdout.String(), "\x1b") {
		t.Error("colours without a terminal")
	}
}

func TestCheckExitCodes(t *testing.T) {
	dir := t.TempDir()
	sound, err := os.ReadFile("internal/checklist/testdata/sound.txt")
	check(t, err)
	write := func(name, from, to string) string {
		path := filepath.Join(dir, name)
		text := strings.ReplaceAll(string(sound), from, to)
		check(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	ok := write("ok.txt", "", "")
	warning := write("warning.txt", "app_jobs_total", "appJobs_total")
	failed := write("failed.txt", "ws_connections_active 5", "ws_connections_active 6")
	for _, tt := range []struct {
		args []string
		code int
		want string // in the error, or in the output if there is no error
	}{
		{[]string{ok}, 0, "ok "},
		{[]string{ok, ok}, 0, "backwards"},
		{[]string{warning}, 0, "warning"},
		{[]string{"--strict", warning}, 1, "warning"},
		{[]string{failed}, 1, "failed"},
		{[]string{"--idle", ok}, 1, "idle"},
		{[]string{}, 2, "give the address"},
		{[]string{"a", "b", "c"}, 2, "give only the address"},
		{[]string{"no/such.txt"}, 2, "no/such.txt"},
		{[]string{"-", "-"}, 2, "standard input"},
		{[]string{"--format", "xml", ok}, 2, "--format"},
		{[]string{"--interval", "-1s", ok}, 2, "--interval"},
		{[]string{"--timeout", "0s", ok}, 2, "--timeout"},
		{[]string{"--websocket", "ftp://localhost", ok}, 2, "--websocket"},
		{[]string{"--http.config.file", "no/such.yml", ok}, 2, "--http.config.file no/such.yml"},
		{[]string{"--colour", ok}, 2, "--colour"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(append([]string{"check"}, tt.args...), &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d: %s%s", code, tt.code, stdout.String(), stderr.String())
			}
			said := stdout.String()
			if tt.code == 2 {
				said = stderr.String()
				if strings.Count(said, "\n") != 1 || stdout.Len() > 0 {
					t.Errorf("stderr %q, stdout %q, want a line of error", said, stdout.String())
				}
			} else if stderr.Len() > 0 {
				t.Errorf("stderr: %s", stderr.String())
			}
			if !strings.Contains(said, tt.want) {
				t.Errorf("%q lacks %q", said, tt.want)
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{"check", "--format", "json", "internal/checklist/testdata/sound.txt"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var got struct{ Status string }
	check(t, json.Unmarshal(stdout.Bytes(), &got))
	if got.Status != "ok" {
		t.Errorf("status %q", got.Status)
	}
}

func TestFlagValuesComplete(t *testing.T) {
	var stdout, stderr bytes.Buffer
	run([]string{"__complete", "check", "--format", ""}, &stdout, &stderr)
	if got := stdout.String(); !strings.Contains(got, "text\njson\n") {
		t.Errorf("completions %q", got)
	}
}
