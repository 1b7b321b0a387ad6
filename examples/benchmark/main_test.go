package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) // a server of the test
	}
	// Under the race detector, a server would wait a second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	goleak.VerifyTestMain(m)
}

// Every server is measured under every load. Its metrics must match the clients'
// counts, or benchmark fails.
func TestBenchmark(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	var stdout, stderr bytes.Buffer
	args := []string{"-quick", "-rounds", "1", "-duration", "10ms", "-beside", "20", "-json", file, "-format", "markdown"}
	if err := benchmark(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	t.Logf("%s%s", &stderr, &stdout)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rep Report
	if err := json.Unmarshal(b, &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Loads) != len(allLoads) {
		t.Errorf("%d loads, want %d", len(rep.Loads), len(allLoads))
	}
	for _, l := range rep.Loads {
		for _, v := range servers.Variants {
			if len(v.Only) > 0 && !slices.Contains(v.Only, l.Name) || v.Node != servers.NotNode && skipped(rep.Notes) {
				continue
			}
			c := l.find(v.Name, rep.gomaxprocs())
			if c == nil || len(c.Rounds) != 1 {
				t.Errorf("%s, %s: not measured once: %+v", l.Name, v.Name, c)
				continue
			}
			r := c.Rounds[0]
			if idle := l.idle(); !idle && (r.Messages == 0 || r.CPU <= 0 || r.P50 <= 0 || r.P99 < r.P50) || idle && r.Memory <= 0 {
				t.Errorf("%s, %s: %+v", l.Name, v.Name, r)
			}
		}
		if l.find(servers.Otelws, rep.gomaxprocs()) != nil && len(l.Ratios) == 0 {
			t.Errorf("%s has no ratios", l.Name)
		}
		if !strings.Contains(stdout.String(), "| "+l.Title+" |") {
			t.Errorf("there is no table for %s", l.Name)
		}
	}
}

func (rep *Report) gomaxprocs() int { return rep.Loads[0].Contenders[0].GOMAXPROCS }

func skipped(notes []string) bool {
	for _, n := range notes {
		if strings.Contains(n, "Node are skipped") {
			return true
		}
	}
	return false
}

// Scaling compares a server with itself.
func TestScaling(t *testing.T) {
	args := []string{"-rounds", "2", "-duration", "50ms", "-beside", "20", "-variants", "otelws,prometheus-all,otel", "-loads", "",
		"-connections", "1,20", "-gomaxprocs", "1,2"}
	var stdout, stderr bytes.Buffer
	if err := benchmark(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	for _, want := range []string{"echo of 64 B, 1 connections", "echo of 64 B, 20 connections", "(GOMAXPROCS=2)", "× GOMAXPROCS=1"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not in\n%s", want, &stdout)
		}
	}
}

// Idle clients answer the heartbeats of every server.
func TestHeartbeat(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"-quick", "-rounds", "1", "-loads", "idle", "-heartbeat", "1s"}
	if err := benchmark(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
}

// On a busy machine, a run can end before a client has sent a message. Without
// messages there is no CPU time per message.
func TestRunIsNeverEmpty(t *testing.T) {
	c := startServer(t, "bare")
	for _, l := range allLoads {
		if l.Kind == load.Idle {
			continue
		}
		t.Run(l.Name, func(t *testing.T) {
			l.Conns = 3
			clients, err := load.Open(t.Context(), c.proc.Address, l.Load)
			if err != nil {
				t.Fatal(err)
			}
			res, err := clients.Run(t.Context(), 0)
			if err := errors.Join(err, clients.Close()); err != nil {
				t.Fatal(err)
			}
			if res.Messages != 3 {
				t.Errorf("%d messages, want 3", res.Messages)
			}
		})
	}
}

func startServer(t *testing.T, variant string) *contender {
	t.Helper()
	o, err := parseOptions(nil, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	v, err := choose(servers.Variants, variantName, variant)
	if err != nil {
		t.Fatal(err)
	}
	c, err := o.start(t.Context(), v[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}

// benchmark detects a server whose metrics differ from the clients' counts.
func TestCheck(t *testing.T) {
	c := startServer(t, "prometheus-all")
	clients, err := load.Open(t.Context(), c.proc.Address, load.Load{Kind: load.FanOut, Conns: 3, Bytes: 200})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clients.Run(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := clients.Close(); err != nil {
		t.Fatal(err)
	}
	right := clients.Counts()
	if err := c.scrape.check(t.Context(), right); err != nil {
		t.Error(err)
	}
	for name, add := range map[string]load.Counts{
		"ws_connections_opened_total": {Connections: 1},
		"ws_message_bytes":            {Sent: 1},
		"ws_message_sent_bytes":       {Received: 1},
	} {
		wrong := right
		wrong.Add(add)
		if err := c.scrape.compare(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("with one too many in the clients, %s: %v", name, err)
		}
	}
}

// Without Node, its servers are left out, or are an error if the user asked for them.
func TestWithoutNode(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, args := range [][]string{{"-variants", "bare,node"}, {"-npm-install"}} {
		err := benchmark(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "node is not installed") {
			t.Errorf("%v: %v", args, err)
		}
	}
	var stderr bytes.Buffer
	args := []string{"-loads", "echo-64", "-rounds", "1", "-duration", "1ms", "-beside", "0", "-variants", "bare"}
	if err := benchmark(t.Context(), args, io.Discard, &stderr); err != nil || strings.Contains(stderr.String(), "Node") {
		t.Errorf("%v: %v\n%s", args, err, &stderr)
	}
}

// An interrupted run prints the results so far.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if err := benchmark(ctx, []string{"-variants", "bare", "-format", "json"}, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	var rep Report
	if err := json.Unmarshal(stdout.Bytes(), &rep); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(rep.Notes); !strings.Contains(got, "interrupted during echo-64") {
		t.Errorf("the notes are %s", got)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-variants none", `"none" is none of bare,otelws`},
		{"-loads echo", `"echo" is none of echo-64`},
		{"-connections 1,x", `"x" is not a positive number`},
		{"-gomaxprocs 0", `"0" is not a positive number`},
		{"-beside -1", "-beside must not be negative"},
		{"-rounds 0", "-rounds, -duration and -gomaxprocs must be positive"},
		{"-format csv", `-format "csv" is none of table, markdown and json`},
		{"more", `unexpected argument "more"`},
	} {
		if _, err := parseOptions(strings.Fields(tt.args), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.args, err, tt.want)
		}
	}
}

// The benchmark links no WebSocket libraries other than those of its rows.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"github.com/gobwas/ws"} {
		if strings.Contains(string(out), never) {
			t.Errorf("it depends on %s", never)
		}
	}
}
