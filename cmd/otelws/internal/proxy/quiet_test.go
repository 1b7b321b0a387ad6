package proxy_test

import (
	"bufio"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	gorilla "github.com/gorilla/websocket"
)

// quiet is an echo server that sends no pings. It records the pongs and close codes
// that it receives, as "pong" and "close 1000".
type quiet struct {
	url  string
	mu   sync.Mutex
	seen []string
}

func (q *quiet) saw(what string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seen = append(q.seen, what)
}

func (q *quiet) count(what string) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.seen {
		if s == what {
			n++
		}
	}
	return n
}

// kinds returns the recorded kinds without duplicates.
func (q *quiet) kinds() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(q.seen)))
}

// quietServers are servers in three languages.
var quietServers = []struct {
	name  string
	start func(*testing.T) *quiet
}{
	{"Go", startQuietGo},
	{"Node", startQuietNode},
	{"Python", startQuietPython},
}

func startQuietGo(t *testing.T) *quiet {
	q := new(quiet)
	q.url = startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.SetPongHandler(func(string) error { q.saw("pong"); return nil })
		for {
			kind, b, err := c.ReadMessage()
			if closed, ok := err.(*gorilla.CloseError); ok {
				q.saw(fmt.Sprint("close ", closed.Code))
			}
			if err != nil || c.WriteMessage(kind, b) != nil {
				return
			}
		}
	})).URL
	return q
}

//go:embed testdata/quiet.js
var quietNode string

func startQuietNode(t *testing.T) *quiet {
	modules := os.Getenv(nodeModules)
	if modules == "" {
		t.Skipf("needs node, and %s set to a node_modules directory that holds the package ws", nodeModules)
	}
	modules, err := filepath.Abs(modules)
	check(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "-e", quietNode)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	return startQuiet(t, cmd)
}

//go:embed testdata/quiet.py
var quietPython string

func startQuietPython(t *testing.T) *quiet {
	const python = "/usr/bin/python3" // Debian's python3-websockets is installed for this one
	if err := exec.Command(python, "-c", "import websockets").Run(); err != nil {
		t.Skipf("needs %s with the package websockets: %v", python, err)
	}
	return startQuiet(t, exec.CommandContext(t.Context(), python, "-c", quietPython))
}

// startQuiet starts a program that prints its port, and then a line for each frame it
// records.
func startQuiet(t *testing.T, cmd *exec.Cmd) *quiet {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("the server printed no port: %v", lines.Err())
	}
	q := &quiet{url: "http://127.0.0.1:" + strings.TrimSpace(lines.Text())}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() {
			q.saw(lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	return q
}
