package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/charmbracelet/x/ansi"
)

// terminal is a pseudo-terminal of a fixed width. It records the output.
type terminal struct {
	user    *os.File
	program *os.File
	mu      sync.Mutex
	drawn   strings.Builder
}

func newTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	control := func(request uintptr, argument unsafe.Pointer) {
		raw, err := user.SyscallConn()
		check(t, err)
		check(t, raw.Control(func(fd uintptr) {
			if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
				t.Error(errno)
			}
		}))
	}
	var unlock, number int32
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	size := [4]uint16{rows, columns}
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	check(t, err)
	tm := &terminal{user: user, program: program}
	var reading sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := user.Read(buf)
			tm.mu.Lock()
			tm.drawn.Write(buf[:n])
			tm.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		_ = program.Close()
		_ = user.Close()
		reading.Wait()
	})
	return tm
}

func (tm *terminal) text() string {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	return tm.drawn.String()
}

// waitFor waits until the output contains a text.
func (tm *terminal) waitFor(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !strings.Contains(ansi.Strip(tm.text()), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %q in %q", text, tm.text())
		}
	}
}

// start starts the command with the pseudo-terminal as the given files.
func (tm *terminal) start(t *testing.T, set func(*exec.Cmd), args ...string) (wait func() error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVar+"=1", "TERM=xterm-256color")
	set(cmd)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd.Wait
}

// top draws the table of open connections, and ends at a key press.
func TestTopOnATerminal(t *testing.T) {
	t.Parallel()
	server := startChild(t, "--clients", "3")
	tm := newTerminal(t, 80, 24)
	wait := tm.start(t, func(cmd *exec.Cmd) { cmd.Stdin, cmd.Stdout = tm.program, tm.program }, "top", server.metrics)
	tm.waitFor(t, "RECEIVED*")
	tm.waitFor(t, "/echo")
	if _, err := tm.user.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// probe redraws its bar in one line, and removes it at the end.
func TestProbeOnATerminal(t *testing.T) {
	t.Parallel()
	server := startChild(t)
	tm := newTerminal(t, 60, 24)
	var stdout strings.Builder
	wait := tm.start(t, func(cmd *exec.Cmd) { cmd.Stdout, cmd.Stderr = &stdout, tm.program },
		"probe", "--max", "1s", "--every", "100ms", "--no-ladder", server.url+"/echo")
	if err := wait(); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	const clear = "\r\x1b[K"
	for end := time.Now().Add(waitLimit); !strings.HasSuffix(tm.text(), clear); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("what is left is %q", tm.text())
		}
	}
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(tm.text(), clear), clear), clear)
	for _, line := range lines {
		if n := ansi.StringWidth(line); n >= 60 || !strings.HasPrefix(line, "[") || strings.Contains(line, "\n") {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if len(lines) < 3 {
		t.Errorf("drawn %q", tm.text())
	}
}
