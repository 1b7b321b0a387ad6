// Package process runs each server in a process of its own, so that its CPU
// time and its memory are its own, and asks it for them over its standard input
// and output: a JSON line once it listens, then one for each command line.
package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// Listening is what a server says first.
type Listening struct {
	Address string `json:"address"`
	// Metrics is the URL to scrape, empty where there is none.
	Metrics string `json:"metrics"`
	// Versions are those of what a server is made of beside Go modules.
	Versions map[string]string `json:"versions,omitempty"`
}

// Usage is what a server has used since its start. What it cannot tell is 0.
type Usage struct {
	CPU     time.Duration `json:"cpu_ns"` // user and system time of all threads
	Mallocs uint64        `json:"mallocs,omitempty"`
	Heap    uint64        `json:"heap_bytes"`  // bytes of heap objects
	Stack   uint64        `json:"stack_bytes"` // bytes of stacks
}

// The commands.
const (
	cmdUsage = "usage"
	cmdGC    = "gc" // collects garbage first
)

// stopLimit is how long a server may take to end.
const stopLimit = 5 * time.Second

// Process is a running server. Its methods are for one goroutine.
type Process struct {
	Listening
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// Start starts a server and waits until it listens. The process ends with ctx.
func Start(ctx context.Context, env []string, name string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("failed to start a server: %w", err)
	}
	p := &Process{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	if err := p.read(&p.Listening); err != nil {
		return nil, errors.Join(fmt.Errorf("failed to start a server: %w", err), p.Stop())
	}
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Usage asks for what has been used so far.
func (p *Process) Usage() (Usage, error) { return p.ask(cmdUsage) }

// GC has garbage collected, and asks for what is then in use.
func (p *Process) GC() (Usage, error) { return p.ask(cmdGC) }

func (p *Process) ask(command string) (u Usage, err error) {
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		return u, fmt.Errorf("failed to ask a server for its usage: %w", err)
	}
	return u, p.read(&u)
}

func (p *Process) read(v any) error {
	if !p.lines.Scan() {
		if err := p.lines.Err(); err != nil {
			return err
		}
		return errors.New("the server has ended")
	}
	return json.Unmarshal(p.lines.Bytes(), v)
}

// Stop ends the process and waits for it.
func (p *Process) Stop() error {
	p.in.Close()
	kill := time.AfterFunc(stopLimit, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	return p.cmd.Wait()
}
