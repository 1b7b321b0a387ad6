//go:build unix

package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Output runs cmd, which ends by itself, and returns what it wrote to its
// standard output. The error has the end of what it wrote to the other. When
// ctx is done, cmd and its children are interrupted, and those that take more
// than 20 seconds over it killed. Their temporary files are removed in any case.
func Output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	temporary, err := os.MkdirTemp(cmd.Dir, ".tmp-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	cmd.Env = append(cmd.Environ(), "TMPDIR="+temporary, "GOTMPDIR="+temporary)
	cmd.SysProcAttr = attributes()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// The children are in a group of their own, which has the number of the first.
	group := -cmd.Process.Pid
	ended := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		_ = syscall.Kill(group, syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(grace):
			_ = syscall.Kill(group, syscall.SIGKILL)
		}
	})()
	err = cmd.Wait()
	close(ended)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, lastLines(stderr.String(), 15))
	}
	return []byte(stdout.String()), nil
}
