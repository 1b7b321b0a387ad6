package checklist_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/checklist"
)

// nodeModules names the variable with a node_modules directory that contains ws and
// prom-client.
const nodeModules = "OTELWS_NODE_MODULES"

// startNode runs testdata/server.js, and returns its addresses.
func startNode(t *testing.T, faults ...string) (ws, metrics string) {
	t.Helper()
	modules := os.Getenv(nodeModules)
	if modules == "" {
		t.Skipf("needs node, and %s set to a node_modules directory that holds ws and prom-client", nodeModules)
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", append([]string{"testdata/server.js"}, faults...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("node printed no addresses")
	}
	if _, err := fmt.Sscan(lines.Text(), &ws, &metrics); err != nil {
		t.Fatal(err)
	}
	return "ws://" + ws, "http://" + metrics + "/metrics"
}

// visit opens twenty connections. Each sends a message and answers a ping, and every
// second one vanishes without a close frame.
func visit(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := range 20 {
		c, _, err := websocket.Dial(ctx, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Write(ctx, websocket.MessageText, make([]byte, 100+40*n)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			_ = c.CloseNow()
		} else if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// A correct server with prom-client passes, and each fault fails its item.
func TestNode(t *testing.T) {
	for _, tt := range []struct {
		fault string
		item  string // expected to fail
		want  []string
	}{
		{fault: ""},
		{"drift", "conservation", []string{"the difference is 10", "counts an end twice"}},
		{"user", "labels", []string{"userId", "20 values", "20 series", "ws_connections_opened_total"}},
		{"milliseconds", "series", []string{"ws_heartbeat_rtt_seconds is missing", "ws_heartbeat_rtt_ms"}},
		{"infinity", "buckets", []string{"all 20 observations of ws_message_bytes", "+Inf", "64 256 1024"}},
		{"port", "exposure", []string{"own port"}},
	} {
		t.Run("fault "+tt.fault, func(t *testing.T) {
			t.Parallel()
			ws, metrics := startNode(t, strings.Fields(tt.fault)...)
			visit(t, ws)
			o := options(t, metrics)
			o.WebSocket = ws
			waitForCloses(t, o, 20)
			r := run(t, o)
			if tt.fault == "" {
				if r.Status != checklist.OK {
					t.Errorf("a sound server is found with\n%s", text(t, r))
				}
				return
			}
			i := item(t, r, tt.item)
			if i.Status != checklist.Failed {
				t.Fatalf("%s is %v, in\n%s", tt.item, i.Status, text(t, r))
			}
			said := fmt.Sprint(i.Findings)
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("%s lacks %q", said, want)
				}
			}
		})
	}
}

// The usual code with prom-client counts a close when it happens, and declares the
// counter at the start.
func TestNodeBeforeTraffic(t *testing.T) {
	for _, format := range []string{"text", "openmetrics"} {
		ws, metrics := startNode(t, "uninitialised", format)
		o := options(t, metrics)
		o.WebSocket = ws
		r := run(t, o)
		if i := item(t, r, "series"); i.Status != checklist.Warning || !strings.Contains(fmt.Sprint(i.Findings), `closed.inc({ code: "1006" }, 0)`) {
			t.Errorf("%s, before: %+v", format, i)
		}
		if n := strings.Count("\n"+text(t, r), "\nwarning "); n != 1 || r.Status != checklist.Warning {
			t.Errorf("%s, before: %v, %d warnings, want 1:\n%s", format, r.Status, n, text(t, r))
		}
		visit(t, ws)
		waitForCloses(t, o, 20)
		if r := run(t, o); r.Status != checklist.OK {
			t.Errorf("%s, after:\n%s", format, text(t, r))
		}
	}
}

// Without --websocket, the check finds the port by a handshake.
func TestNodeGuess(t *testing.T) {
	for _, tt := range []struct {
		faults []string
		want   checklist.Status
	}{{nil, checklist.OK}, {[]string{"port"}, checklist.Failed}} {
		_, metrics := startNode(t, tt.faults...)
		if i := item(t, run(t, options(t, metrics)), "exposure"); i.Status != tt.want {
			t.Errorf("%v: %+v, want %v", tt.faults, i, tt.want)
		}
	}
}

func waitForCloses(t *testing.T, o checklist.Options, n float64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s, err := o.Client.Get(t.Context(), o.Sources[0])
		if err != nil {
			t.Fatal(err)
		}
		if sum, _ := s.Sum("ws_connections_closed_total"); sum == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server did not see %v closes", n)
		}
	}
}

func item(t *testing.T, r *checklist.Report, name string) checklist.Item {
	t.Helper()
	n := slices.IndexFunc(r.Items, func(i checklist.Item) bool { return i.Name == name })
	if n < 0 {
		t.Fatalf("the report has no %s", name)
	}
	return r.Items[n]
}
