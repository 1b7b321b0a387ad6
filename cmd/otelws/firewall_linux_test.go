package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/hoptest"
	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

// A Linux firewall silently drops packets of connections that it has forgotten. It
// works at the level of TCP, so TCP keepalives keep a connection open.
func TestFirewall(t *testing.T) {
	t.Parallel()
	f := hoptest.StartFirewall(t, 5*time.Second)
	cmd := f.Command(f.Server, os.Args[0], "demo", "--listen", f.Address+":8080", "--metrics", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), childVar+"=1")
	server := startCommand(t, readPlaces, cmd)

	var r probe.Result
	for range 4 {
		cmd := f.Command(f.Client, os.Args[0], "probe", "--max", "8s", "--timeout", "4s", "--format", "json", server.url+"/echo")
		cmd.Env = append(os.Environ(), childVar+"=1")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // exit code 1 means that there is a limit
		r = probe.Result{}
		if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
		}
		if len(r.Limits) == 1 && strings.HasPrefix(r.Limits[0].String(), "5 s (between 4.8 s and ") &&
			r.Limits[0].Seen == probe.Nothing && slices.Contains(r.Limits[0].Keeps, probe.KeepAlive) && len(r.Limits[0].LetsGo) == 0 {
			return
		}
	}
	if r.Late > .05 {
		t.Skipf("the machine is too busy: its timers are %v s late", r.Late)
	}
	text, err := json.Marshal(r)
	check(t, err)
	t.Errorf("want a limit of 5 s that TCP's keepalives keep a connection through: %s", text)
}
