//go:build unix

package tracing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/tracing"
)

// peerScript answers a message in its own span. It runs in a browser and in Node.
const peerScript = `
	const ws = new WebSocket(url);
	ws.onmessage = (event) => {
		const [version, trace, parent, flags] = JSON.parse(event.data).traceparent.split('-');
		ws.send(JSON.stringify({parent, traceparent: [version, trace, '` + peerSpan + `', flags].join('-')}));
	};
`

const (
	peerSpan  = "00f067aa0ba902b7"
	peerLimit = 30 * time.Second
)

// servePeer exchanges a message with one peer, which run starts, and checks that both
// are in one trace.
func servePeer(t *testing.T, run func(url string) *exec.Cmd) {
	s := newSetUp(t)
	ctx, cancel := context.WithTimeout(t.Context(), peerLimit)
	defer cancel()
	done := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<script>const url = 'ws://' + location.host + '/ws';"+peerScript+"</script>")
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		conn := s.conn(t, c, tracing.JSON(), tracing.TrustPeer())
		if err := conn.Send(ctx, text, []byte(`{"hello":"peer"}`)); err != nil {
			t.Error(err)
		}
		err = conn.Serve(ctx, func(_ context.Context, _ websocket.MessageType, data []byte) error {
			var answer struct{ Parent string }
			if err := json.Unmarshal(data, &answer); err != nil {
				return err
			}
			sent := s.recorder.Ended()[1].SpanContext().SpanID().String()
			if answer.Parent != sent {
				return fmt.Errorf("the peer had parent %q, want %s", answer.Parent, sent)
			}
			return errEnough
		})
		c.Close(websocket.StatusNormalClosure, "")
		select {
		case done <- err:
		default:
		}
	}))
	defer srv.Close()

	cmd := run(srv.URL)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	select {
	case err := <-done:
		if err != errEnough {
			t.Fatal(err)
		}
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		t.Fatalf("no peer in %v:\n%s", peerLimit, out.String())
	}

	spans := s.recorder.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want handshake, send and process", len(spans))
	}
	send, process := spans[1], spans[2]
	if process.Parent().SpanID().String() != peerSpan || process.SpanContext().TraceID() != send.SpanContext().TraceID() {
		t.Errorf("process has parent %v in trace %v, want %s in %v",
			process.Parent().SpanID(), process.SpanContext().TraceID(), peerSpan, send.SpanContext().TraceID())
	}
}

func TestNode(t *testing.T) {
	const nodeModules = "OTELWS_NODE_MODULES"
	modules := os.Getenv(nodeModules)
	if modules == "" {
		t.Skipf("needs node, and %s set to a node_modules directory that holds the package ws", nodeModules)
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	servePeer(t, func(url string) *exec.Cmd {
		cmd := exec.Command("node", "-e", "const WebSocket = require('ws'); const url = process.argv[1];"+peerScript,
			strings.Replace(url, "http", "ws", 1)+"/ws")
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		return cmd
	})
}

func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium in the path")
	}
	profile, err := os.MkdirTemp("", "otelws-browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile)
	servePeer(t, func(url string) *exec.Cmd {
		return exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+profile, url)
	})
}
