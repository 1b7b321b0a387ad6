//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// SIGUSR1 and SIGUSR2 do not end the proxy, and its connections stay open.
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

// The end of the process that reads the log does not end the proxy and its connections.
func TestProxyOutlivesLogReader(t *testing.T) {
	t.Parallel()
	backend := startEcho(t)
	cmd := exec.Command(os.Args[0], "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", backend.URL)
	cmd.Env = append(os.Environ(), childVar+"=1")
	logReader, log, err := os.Pipe()
	check(t, err)
	out, w, err := os.Pipe()
	check(t, err)
	cmd.Stdout, cmd.Stderr = w, log
	check(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	check(t, errors.Join(w.Close(), log.Close()))
	c := readProxyPlaces(t, out)
	conn := c.dial(t, "/")
	check(t, errors.Join(out.Close(), logReader.Close()))
	check(t, cmd.Process.Signal(syscall.SIGUSR1)) // is logged
	check(t, conn.Write(testContext(t), websocket.MessageText, []byte("hello")))
	if _, _, err := conn.Read(testContext(t)); err != nil {
		t.Error(err)
	}
	check(t, conn.Close(websocket.StatusNormalClosure, ""))
	check(t, cmd.Process.Signal(syscall.SIGTERM)) // is logged, too
	check(t, cmd.Wait())
}

// SIGHUP applies the changed file. Connections stay open.
func TestProxyReload(t *testing.T) {
	t.Parallel()
	backend := startEcho(t)
	file := configFile(t, "limit.client-connections: 1\n")
	c := startProcess(t, readProxyPlaces, "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", backend.URL, "--config.file", file)
	first := c.dial(t, "/")
	write := func(text string) {
		t.Helper()
		check(t, os.WriteFile(file, []byte(text), 0o600))
		check(t, c.cmd.Process.Signal(syscall.SIGHUP))
	}
	dial := func() (*websocket.Conn, int) {
		t.Helper()
		conn, resp, err := websocket.Dial(testContext(t), c.url, nil)
		if resp == nil {
			t.Fatal(err)
		}
		return conn, resp.StatusCode
	}
	if _, status := dial(); status != http.StatusTooManyRequests {
		t.Fatalf("a second connection: status %d, want the file's limit", status)
	}
	write("limit.client-connections: 2\nlimit.handshakes: 1e6\n")
	var second *websocket.Conn
	for end := time.Now().Add(waitLimit); second == nil && time.Now().Before(end); {
		second, _ = dial()
	}
	write("drain.code: 1001\ndrain.spread: 0s\n")
	for end := time.Now().Add(waitLimit); time.Now().Before(end); { // no limit, by default
		if third, _ := dial(); third != nil {
			check(t, third.CloseNow())
			break
		}
	}
	for _, conn := range []*websocket.Conn{first, second} {
		check(t, conn.Write(testContext(t), websocket.MessageText, []byte("hello")))
		if _, b, err := conn.Read(testContext(t)); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
	}
	check(t, c.cmd.Process.Signal(syscall.SIGTERM))
	for _, conn := range []*websocket.Conn{first, second} {
		if _, _, err := conn.Read(testContext(t)); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("at the drain a client hears %v, want the file's code", err)
		}
	}
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	if log := c.log.String(); !strings.Contains(log, `changed="limit.client-connections, limit.handshakes"`) {
		t.Errorf("the log does not tell what changed:\n%s", log)
	}
}

// A SIGHUP during the start takes effect after it. A reload that does not end does not
// keep the process from ending.
func TestProxyReloadAtStart(t *testing.T) {
	t.Parallel()
	backend := startEcho(t)
	file := filepath.Join(t.TempDir(), "proxy.yml")
	check(t, syscall.Mkfifo(file, 0o600)) // the proxy waits for the test when it reads the file
	cmd := exec.Command(os.Args[0], "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", backend.URL, "--config.file", file)
	cmd.Env = append(os.Environ(), childVar+"=1")
	var log lockedBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	read := func() (w *os.File) {
		t.Helper()
		for end := time.Now().Add(waitLimit); w == nil; time.Sleep(time.Millisecond) {
			if w, err = os.OpenFile(file, os.O_WRONLY|syscall.O_NONBLOCK, 0); err != nil && time.Now().After(end) {
				t.Fatalf("the proxy does not read the file: %v\n%s", err, log.String())
			}
		}
		return w
	}
	write := func(w *os.File, text string) {
		t.Helper()
		_, err := io.WriteString(w, text)
		check(t, errors.Join(err, w.Close()))
	}

	w := read()
	check(t, cmd.Process.Signal(syscall.SIGHUP))
	write(w, "limit.client-connections: 1\n")
	readProxyPlaces(t, out)
	write(read(), "limit.client-connections: 2\n")
	const changed = "changed=limit.client-connections"
	for end := time.Now().Add(waitLimit); !strings.Contains(log.String(), changed); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log lacks %q:\n%s", changed, log.String())
		}
	}

	check(t, cmd.Process.Signal(syscall.SIGHUP))
	defer read().Close()
	check(t, cmd.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		check(t, err)
	case <-time.After(waitLimit):
		t.Error("the proxy did not end")
	}
}

// A proxy does not start if it is its own backend, or if it would expose its metrics.
func TestProxyLoop(t *testing.T) {
	for _, flag := range []string{"--listen", "--metrics"} {
		l := listenLocal(t)
		address := l.Addr().String()
		l.Close()
		_, port, _ := net.SplitHostPort(address)
		places := map[string]string{"--listen": "127.0.0.1:0", "--metrics": "127.0.0.1:0", flag: address}
		var stdout, stderr strings.Builder
		code := run([]string{"proxy", "--backend", "http://localhost:" + port, "--listen", places["--listen"], "--metrics", places["--metrics"]}, &stdout, &stderr)
		if code == 0 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "this process itself listens") {
			t.Errorf("%s: exit code %d, %q, %q", flag, code, stdout.String(), stderr.String())
		}
	}
}

// The log says once that a backend accepts connections that did not at the start. At
// the end it says how many connections the drain has closed.
func TestProxyLogsBackendAndDrain(t *testing.T) {
	t.Parallel()
	late := listenLocal(t)
	address := late.Addr().String()
	late.Close()
	var log lockedBuffer
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, w := io.Pipe()
	cmd := newProxyCommand(&globalFlags{})
	cmd.SetArgs([]string{"--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", "http://" + address})
	cmd.SetOut(w)
	cmd.SetErr(&log)
	result := make(chan error, 1)
	go func() {
		result <- cmd.ExecuteContext(ctx)
		w.Close()
	}()
	readProxyPlaces(t, out)
	l, err := net.Listen("tcp", address)
	check(t, err)
	defer l.Close()
	const answers = "the backend accepts connections now"
	for end := time.Now().Add(waitLimit); !strings.Contains(log.String(), answers); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log lacks %q:\n%s", answers, log.String())
		}
	}
	cancel()
	check(t, <-result)
	if text := log.String(); strings.Count(text, answers) != 1 || !strings.HasSuffix(text, "closed=0 cut=0\n") {
		t.Errorf("the log is\n%s", text)
	}
}

// At the start, one line says whether the backend accepts connections.
func TestProxySaysOfBackend(t *testing.T) {
	t.Parallel()
	down := listenLocal(t)
	down.Close()
	for backend, want := range map[string]string{startEcho(t).URL: "Backend: accepts connections", "http://" + down.Addr().String(): "Backend: does not answer yet: "} {
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

// lockedBuffer is a buffer for concurrent reads and writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
