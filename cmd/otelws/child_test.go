package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// child is a running command in a separate process.
type child struct {
	*running
	cmd    *exec.Cmd
	log    *bytes.Buffer // complete once result has a value
	result chan error
}

// startProcess runs a command. read parses its first lines.
func startProcess(t *testing.T, read func(*testing.T, io.Reader) *running, args ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVar+"=1")
	return startCommand(t, read, cmd)
}

// startCommand starts cmd, which must run otelws.
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
