//go:build !race

// The race detector would find nothing, because the commands are other processes.

package examples_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const namespaceEnv = "OTELWS_README_NAMESPACE"

// readmeCommands are the commands of the README and the guide in a runnable order,
// with a function that runs each. Their ports are in a network namespace.
var readmeCommands = []struct {
	command string
	run     func(s *shell, command string)
}{
	{"go install ./cmd/otelws", func(s *shell, c string) { s.run(c) }},
	{"go run ./cmd/otelws demo --clients 20", func(s *shell, c string) { s.start(c, "localhost:8080") }},
	{"curl -s localhost:9091/metrics | grep ^ws_ | grep -v _bucket", func(s *shell, c string) {
		s.until(c, "ws_connections_active")
	}},
	{"otelws healthcheck", func(s *shell, c string) { s.run(c) }},
	{"otelws check localhost:9091", func(s *shell, c string) { s.run(c, "connections") }},
	{"otelws probe wss://example.com/ws", func(s *shell, c string) {
		s.run(strings.Replace(c, "wss://example.com/ws", "ws://localhost:8080/echo --max 5s", 1), "No limit")
	}},
	{"otelws top localhost:9091", func(s *shell, c string) { s.run(c+" --once", "/echo") }},
	{"otelws load --messages 1000000 --verify localhost:9091 ws://localhost:8080/echo", func(s *shell, c string) {
		s.stop()
		s.start("otelws demo", "localhost:8080")
		s.run(strings.Replace(c, "1000000", "1000", 1), "agrees")
		s.stop()
	}},
	{"otelws proxy --backend http://localhost:3000 --route '/chat/{room}'", func(s *shell, c string) {
		s.start(c, "localhost:3000")
		s.until("curl -s localhost:9091/metrics", "ws_connections_active")
		s.stop()
	}},
	{"go run ./examples/tracing", func(s *shell, c string) { s.run(c, "trace") }},
	{"go test ./otelws -run '^$' -bench 'Idle$' -benchtime 1x", func(s *shell, c string) {
		s.run("go test ./otelws -list 'Idle$'", "BenchmarkIdle")
	}},
	{"go test ./otelws/internal/tap -run '^$' -bench Tap", func(s *shell, c string) {
		s.run("go test ./otelws/internal/tap -list Tap", "BenchmarkTap")
	}},
	// These commands take long. The tests of their packages run the same code.
	{"go run ./examples/benchmark -npm-install -json cost.json", func(s *shell, c string) {
		s.run("go run ./examples/benchmark -h 2>&1", "-npm-install", "-json")
	}},
	{"go run ./examples/benchmark proxies", func(s *shell, c string) { s.run(c+" -h 2>&1", "-rounds") }},
	{"cd examples/stack && go run .", func(s *shell, c string) { s.run("cd examples/stack && go list .", "stack") }},
	{"go test ./...", func(*shell, string) {}},                      // already running
	{"go get github.com/otelws/otelws-go", func(*shell, string) {}}, // needs a published version
}

// Each command of the README and the guide runs as written.
func TestReadmeCommands(t *testing.T) {
	for _, program := range []string{"bash", "curl", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	if os.Getenv(namespaceEnv) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestReadmeCommands$", "-test.v")
		cmd.Env = append(os.Environ(), namespaceEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		out, err := cmd.CombinedOutput()
		switch {
		case cmd.ProcessState == nil, strings.Contains(string(out), "--- SKIP"):
			t.Skipf("network namespaces cannot be made here: %v\n%s", err, out)
		case err != nil:
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	want := commandsOf(t)
	s := &shell{t: t, bin: t.TempDir()}
	defer s.stop()
	for _, c := range readmeCommands {
		if !want[c.command] {
			t.Errorf("no page has the command %q", c.command)
		}
		delete(want, c.command)
		c.run(s, c.command)
	}
	for _, c := range slices.Sorted(maps.Keys(want)) {
		t.Errorf("nothing runs %q", c)
	}
}

// commandsOf returns the commands of the README and the guide: the lines of sh
// blocks, and the table cells that begin with the name of the binary.
func commandsOf(t *testing.T) map[string]bool {
	all := make(map[string]bool)
	for _, page := range pages(t) {
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page, -1) {
			for line := range strings.Lines(block[1]) {
				command, _, _ := strings.Cut(line, "  #")
				all[strings.TrimSpace(command)] = true
			}
		}
		for _, cell := range regexp.MustCompile("(?m)^\\| `(otelws [^`]*)`").FindAllStringSubmatch(page, -1) {
			all[cell[1]] = true
		}
	}
	return all
}

// shell runs commands in the root of the repository. The path contains the binaries
// that they install.
type shell struct {
	t       *testing.T
	bin     string
	started *exec.Cmd
	output  output
}

func (s *shell) command(command string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", command)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOBIN="+s.bin, "PATH="+s.bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs a command, which must succeed, and looks for parts of its output.
func (s *shell) run(command string, parts ...string) {
	s.t.Helper()
	out, err := s.command(command).CombinedOutput()
	if err != nil {
		s.t.Errorf("%s: %v\n%s", command, err, out)
	}
	for _, part := range parts {
		if !strings.Contains(string(out), part) {
			s.t.Errorf("%s: there is no %q in\n%s", command, part, out)
		}
	}
}

const commandLimit = time.Minute

// until repeats a command until its output contains part.
func (s *shell) until(command, part string) {
	s.t.Helper()
	var out []byte
	for end := time.Now().Add(commandLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if out, _ = s.command(command).CombinedOutput(); strings.Contains(string(out), part) {
			return
		}
	}
	s.t.Errorf("%s: there came no %q, but\n%s%s", command, part, out, s.output.String())
}

// start starts a command, and waits until its output contains ready.
func (s *shell) start(command, ready string) {
	s.t.Helper()
	s.output.Reset()
	s.started = s.command(command)
	s.started.Stdout, s.started.Stderr = &s.output, &s.output
	if err := s.started.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(commandLimit); !strings.Contains(s.output.String(), ready); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: there came no %q, but\n%s", command, ready, s.output.String())
		}
	}
}

// stop interrupts a started command, like Ctrl-C.
func (s *shell) stop() {
	s.t.Helper()
	if s.started == nil {
		return
	}
	_ = syscall.Kill(-s.started.Process.Pid, syscall.SIGINT)
	// An interrupted go run fails, whatever the exit code of its program is.
	if err := s.started.Wait(); err != nil && !strings.Contains(s.started.String(), "go run") {
		s.t.Errorf("%s: %v\n%s", s.started, err, s.output.String())
	}
	s.started = nil
}

// output is the output of a process so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Reset()
}
