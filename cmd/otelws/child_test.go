package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// child is the command in a process of its own.
type child struct {
	*running
	cmd    *exec.Cmd
	log    *bytes.Buffer // complete once result is there
	result chan error
}

// startProcess runs a command whose first lines read understands.
func startProcess(t *testing.T, read func(*testing.T, io.Reader) *running, args ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVar+"=1")
	return startCommand(t, read, cmd)
}

// startCommand starts cmd, which is the command wherever it comes from.
func startCommand(t *testing.T, read func(*testing.T, io.Reader) *running, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{cmd: cmd, log: new(bytes.Buffer), result: make(chan error, 1)}
	c.cmd.Stderr = c.log
	out, w, err := os.Pipe()
	check(t, err)
	c.cmd.Stdout = w
	check(t, c.cmd.Start())
	w.Close()
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		out.Close()
	})
	c.running = read(t, out)
	go func() { c.result <- c.cmd.Wait() }()
	return c
}

func (c *child) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-c.result:
		return err
	case <-time.After(waitLimit):
		t.Fatal("the command did not end")
		return nil
	}
}
