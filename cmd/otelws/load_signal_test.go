//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
)

// A signal ends a load like the end of its duration: it prints the result, closes the
// connections, and the metrics agree.
func TestLoadSignal(t *testing.T) {
	r := startDemo(t, demo{})
	cmd := exec.Command(os.Args[0], "load", "--duration", "1h", "--connections", "5", "--ramp", "0s", "-q",
		"--format", "json", "--verify", r.metrics, r.url+"/echo")
	cmd.Env = append(os.Environ(), childVar+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	check(t, cmd.Start())
	defer cmd.Process.Kill()
	r.waitFor(t, "messages", func(s samples) bool { return s["ws_message_bytes_count"] > 100 })
	check(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	var result load.Result
	check(t, json.Unmarshal(stdout.Bytes(), &result))
	if !result.Interrupted || result.Closes["1000"] != 5 || result.Verification.Status != load.Agrees {
		t.Errorf("got %s", stdout.String())
	}
}
