//go:build unix

package main

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// Signals that tell other servers to do something do not end this one: its
// connections go on.
func TestProxySignalsThatEndNothing(t *testing.T) {
	t.Parallel()
	backend := startEcho(t)
	c := startProcess(t, readProxyPlaces, "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", backend.URL)
	conn := c.dial(t, "/")
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP, syscall.SIGHUP} {
		check(t, c.cmd.Process.Signal(sig))
		check(t, conn.Write(testContext(t), websocket.MessageText, []byte(sig.String())))
		if _, b, err := conn.Read(testContext(t)); err != nil || string(b) != sig.String() {
			t.Errorf("after %s: %q, %v", sig, b, err)
		}
	}
	check(t, conn.Close(websocket.StatusNormalClosure, ""))
	check(t, c.cmd.Process.Signal(syscall.SIGTERM))
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	if log := c.log.String(); !strings.Contains(log, "read certificates and authorities again") || !strings.Contains(log, "user defined signal 1") {
		t.Errorf("the log does not tell of the signals:\n%s", log)
	}
}

// A proxy whose backend it is itself does not start, nor one that would show its
// metrics to the public.
func TestProxyLoop(t *testing.T) {
	for _, flag := range []string{"--listen", "--metrics"} {
		l := listenLocal(t)
		address := l.Addr().String()
		l.Close()
		_, port, _ := net.SplitHostPort(address)
		places := map[string]string{"--listen": "127.0.0.1:0", "--metrics": "127.0.0.1:0", flag: address}
		var stdout, stderr strings.Builder
		code := run([]string{"proxy", "--backend", "http://localhost:" + port, "--listen", places["--listen"], "--metrics", places["--metrics"]}, &stdout, &stderr)
		if code == 0 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "listens itself") {
			t.Errorf("%s: exit code %d, %q, %q", flag, code, stdout.String(), stderr.String())
		}
	}
}

// At the start one line says whether the backend is there.
func TestProxySaysOfBackend(t *testing.T) {
	t.Parallel()
	down := listenLocal(t)
	down.Close()
	for backend, want := range map[string]string{startEcho(t).URL: "Backend: takes connections", "http://" + down.Addr().String(): "Backend: does not answer yet: "} {
		c := startProcess(t, readProxyPlaces, "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", backend)
		if !strings.Contains(strings.Join(c.words, " "), want) {
			t.Errorf("%s: the proxy printed %q", backend, c.words)
		}
		check(t, c.cmd.Process.Signal(syscall.SIGTERM))
		if err := c.wait(t); err != nil {
			t.Error(err)
		}
	}
}
