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

// Output runs cmd to its end, and returns its standard output. An error contains the
// end of its standard error. When ctx is done, Output interrupts cmd and its
// children, and kills them after 20 seconds. It always removes their temporary files.
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
	// The children are in a process group, whose number is the PID of the first.
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
