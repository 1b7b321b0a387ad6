//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// child is the command in a process of its own.
type child struct {
	*running
	cmd    *exec.Cmd
	log    *bytes.Buffer // complete once result is there
	result chan error
}

func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	return startProcess(t, readPlaces, append([]string{"demo", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}, args...)...)
}

// startProcess runs a command whose first lines read understands.
func startProcess(t *testing.T, read func(*testing.T, io.Reader) *running, args ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVar+"=1")
	return startCommand(t, read, cmd)
}

// startCommand starts cmd, which is the command wherever it comes from.
func startCommand(t *testing.T, read func(*testing.T, io.Reader) *running, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{cmd: cmd, log: new(bytes.Buffer), result: make(chan error, 1)}
	c.cmd.Stderr = c.log
	out, w, err := os.Pipe()
	check(t, err)
	c.cmd.Stdout = w
	check(t, c.cmd.Start())
	w.Close()
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		out.Close()
	})
	c.running = read(t, out)
	go func() { c.result <- c.cmd.Wait() }()
	return c
}

func (c *child) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-c.result:
		return err
	case <-time.After(waitLimit):
		t.Fatal("the command did not end")
		return nil
	}
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

// A client that does not answer the close frame holds the shutdown up. The
// signal is not SIGINT, which a shell may have had its background jobs ignore.
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
