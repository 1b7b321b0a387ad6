// Package process runs each server in a process of its own, to measure its CPU time and memory
// separately. It controls the server over its standard input and output: the server writes a JSON
// line when it listens, and one for each command line that it reads.
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

// Listening is the first line of a server.
type Listening struct {
	Address string `json:"address"`
	// Metrics is the URL to scrape, or empty.
	Metrics string `json:"metrics"`
	// Versions are the versions of a server's parts that are not Go modules.
	Versions map[string]string `json:"versions,omitempty"`
}

// Usage is the resource usage of a server since its start. Unknown values are 0.
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

// stopLimit is the time limit for a server to end.
const stopLimit = 5 * time.Second

// Process is a running server. Its methods must be called from one goroutine.
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

// PID returns the process ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Usage returns the usage so far.
func (p *Process) Usage() (Usage, error) { return p.ask(cmdUsage) }

// GC runs a garbage collection, and returns the usage after it.
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
