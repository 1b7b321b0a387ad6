//go:build unix

package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// After an interruption, no child and no temporary file is left.
func TestOutputInterrupted(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	why := errors.New("Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for ctx.Err() == nil {
			if text, _ := os.ReadFile(pidFile); strings.HasSuffix(string(text), "\n") {
				cancel(why)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	child := `echo 1 >"$GOTMPDIR/file"; echo 1 >"$TMPDIR/file"; echo $$ >pid; exec sleep 1000`
	cmd := exec.Command("sh", "-c", `sh -c "$0"; true`, child)
	cmd.Dir = dir
	if _, err := Output(ctx, cmd); !errors.Is(err, why) {
		t.Errorf("it ended with %v", err)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if runs(pid) {
		t.Errorf("the child %d still runs", pid)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// runs reports whether pid is running. A zombie does not count.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	out, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

func TestOutput(t *testing.T) {
	out, err := Output(t.Context(), exec.Command("sh", "-c", "echo out; echo err >&2"))
	if string(out) != "out\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	_, err = Output(t.Context(), exec.Command("sh", "-c", "echo why >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "exit status 3\nwhy") {
		t.Errorf("it ended with %v", err)
	}
}
