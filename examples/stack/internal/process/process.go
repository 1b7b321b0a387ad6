//go:build unix

// Package process runs programs as children, with their output in files.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// grace is how long a child may take to end after a request.
const grace = 20 * time.Second

// Process is a running or ended child.
type Process struct {
	Name string
	Log  string // path of the file with its output

	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid after done is closed
}

// Start runs path with env added to the environment of this process. It appends the
// output to dir/NAME.log.
func Start(dir, name, path string, env, args []string) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = attributes()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("failed to start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID returns the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill sends SIGKILL, and waits until the process has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end, and returns its result. It kills the process after 20
// seconds.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s had to be killed after %v, see %s", p.Name, grace, p.Log)
	}
	if p.err != nil {
		return p.Err()
	}
	return nil
}

// Ready waits until probe succeeds. It fails if the process ends or ctx is done
// before.
func (p *Process) Ready(ctx context.Context, probe func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w, see %s", p.Name, err, p.Log)
		case <-tick.C:
		}
	}
}

// Err describes the unexpected end of a process, with the last lines of its log. Call
// it after Done is closed.
func (p *Process) Err() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended: %s, see %s\n%s", p.Name, how, p.Log, tail(p.Log, 5))
}

func tail(path string, lines int) string {
	b, _ := os.ReadFile(path)
	return lastLines(string(b), lines)
}

func lastLines(s string, n int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
