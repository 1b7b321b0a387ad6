//go:build unix

package main

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	return startProcess(t, readPlaces, append([]string{"demo", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}, args...)...)
}

func readToEnd(t *testing.T, c *websocket.Conn) error {
	t.Helper()
	for {
		if _, _, err := c.Read(testContext(t)); err != nil {
			return err
		}
	}
}

func TestSignalClosesConnections(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			c := startChild(t, "--clients", "3", "--log.level", "warn")
			conns := []*websocket.Conn{c.dial(t, "/echo"), c.dial(t, "/room")}
			check(t, c.cmd.Process.Signal(sig))
			for _, conn := range conns {
				err := readToEnd(t, conn)
				if websocket.CloseStatus(err) != websocket.StatusGoingAway {
					t.Errorf("Read after %v: %v, want close code 1001", sig, err)
				}
			}
			if err := c.wait(t); err != nil {
				t.Errorf("%v: %v\n%s", sig, err, c.log)
			}
		})
	}
}

// A client that does not answer the close frame delays the shutdown. The test does
// not use SIGINT, because a shell may let background jobs ignore it.
func TestSignalTwiceKills(t *testing.T) {
	t.Parallel()
	c := startChild(t)
	c.dial(t, "/echo")
	polite := c.dial(t, "/echo")
	check(t, c.cmd.Process.Signal(syscall.SIGTERM))
	if err := readToEnd(t, polite); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("Read after a signal: %v, want close code 1001", err)
	}
	c.waitForValue(t, `ws_connections_closed_total{code="1001",http_route="/echo"}`, 1)
	c.waitForValue(t, `ws_connections_active{http_route="/echo"}`, 1)

	var err error
	for ended := false; !ended; {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-c.result:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("after a second signal: %v, want an end by that signal", err)
	}
}

// After a signal, the proxy waits for its connections, reports this on /-/ready, and
// logs the last connections.
func TestProxySignal(t *testing.T) {
	t.Parallel()
	backend := startEcho(t)
	c := startProcess(t, readProxyPlaces, "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", backend.URL, "--log.connections",
		"--drain-code", "4001") // the old spelling of --drain.code
	conn := c.dial(t, "/")
	ready := strings.TrimSuffix(c.metrics, "/metrics") + "/-/ready"
	c.waitForStatus(t, ready, http.StatusOK)
	check(t, c.cmd.Process.Signal(syscall.SIGTERM))
	c.waitForStatus(t, ready, http.StatusServiceUnavailable)
	c.waitForValue(t, `ws_frames_total{network_io_direction="transmit",opcode="close"}`, 1)
	if _, _, err := conn.Read(testContext(t)); websocket.CloseStatus(err) != 4001 {
		t.Errorf("the client hears %v, want close code 4001", err)
	}
	if err := c.wait(t); err != nil {
		t.Errorf("%v\n%s", err, c.log)
	}
	if n := strings.Count(c.log.String(), "code=4001"); n != 1 {
		t.Errorf("%d lines about one connection:\n%s", n, c.log)
	}
}
