//go:build unix

package otelws_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// These tests show how the server notices that a peer has died, and how it counts the
// connection.

const writeTime = "ws_write_time_seconds_total"

// pushing is a handler that starts a heartbeat and sends until a write fails.
func pushing(ws *otelws.Instrumentation, size int, opts ...otelws.HeartbeatOption) http.Handler {
	return ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		if err := ws.Heartbeat(r.Context(), opts...); err != nil {
			panic(err)
		}
		ctx := c.CloseRead(context.Background())
		for size > 0 && c.Write(ctx, websocket.MessageBinary, make([]byte, size)) == nil {
		}
		<-ctx.Done()
	}))
}

// blackHole passes a connection on. Once black is closed, it drops all bytes, and
// neither end notices.
type blackHole struct {
	net.Listener
	black chan struct{}
}

func newBlackHole(t *testing.T, target string) *blackHole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &blackHole{Listener: l, black: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				return
			}
			t.Cleanup(func() {
				near.Close()
				far.Close()
			})
			all.Go(func() { r.pass(near, far) })
			all.Go(func() { r.pass(far, near) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return r
}

func (r *blackHole) pass(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-r.black: // reads on, so that no write blocks
			n = 0
		default:
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestBlackHole(t *testing.T) {
	ws, m := newInstrumentation(t)
	url := serve(t, pushing(ws, 0, otelws.Every(500*time.Millisecond)))
	r := newBlackHole(t, strings.TrimPrefix(url, "http://"))
	c, _, err := websocket.Dial(context.Background(), "http://"+r.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.CloseRead(context.Background())
	atLeast(t, m, rtt, 2)
	close(r.black)
	m.Wait(t, timeouts, 1)
	atLeast(t, m, missed, 2)
	m.Wait(t, "ws_connections_active", 0)
}

const peerEnv = "OTELWS_PEER"

// startPeer starts a process with a client of url, and waits until it is connected. The
// client reads everything. prefix is a command that runs the process.
func startPeer(t *testing.T, m *otelwstest.Metrics, url string, prefix ...string) *os.Process {
	t.Helper()
	args := append(prefix, os.Args[0], "-test.run=^TestPeer$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), peerEnv+"="+url)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m.Wait(t, "ws_connections_active", 1)
	return cmd.Process
}

// TestPeer is no test: it is the process of a client.
func TestPeer(t *testing.T) {
	url, ok := os.LookupEnv(peerEnv)
	if !ok {
		t.Skip("other tests run it")
	}
	c, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	for {
		_, r, err := c.Reader(context.Background())
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r)
	}
}

// The kernel closes the sockets of a killed process.
func TestKilledPeer(t *testing.T) {
	ws, m := newInstrumentation(t)
	peer := startPeer(t, m, serve(t, pushing(ws, 0, patient...)))
	atLeast(t, m, rtt, 1)
	if err := peer.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="peer"}`, 1)
	m.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
	m.Wait(t, "ws_connections_active", 0)
}

// The kernel keeps the sockets of a frozen process, and accepts bytes until its buffers
// are full. The metrics show the blocked write while it lasts, and the heartbeat ends
// it.
func TestFrozenPeer(t *testing.T) {
	ws, m := newInstrumentation(t)
	every := 500 * time.Millisecond
	peer := startPeer(t, m, serve(t, pushing(ws, 1<<20, otelws.Every(every), otelws.Misses(3))))
	atLeast(t, m, rtt, 1)
	if err := peer.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before, _ := m.Value(writeTime)
	atLeast(t, m, writeTime, before+every.Seconds()/4)
	if v, _ := m.Value("ws_connections_active"); v != 1 {
		t.Errorf("%v connections are open while a write is blocked, want 1", v)
	}
	m.Wait(t, timeouts, 1)
	atLeast(t, m, missed, 3)
	m.Wait(t, "ws_connections_active", 0)
}
