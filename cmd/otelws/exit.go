package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// exitError is an error with an exit code. Without err, the command prints nothing.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// exitCode returns the exit code for err. The default is 1.
func exitCode(err error) int {
	var e exitError
	if errors.As(err, &e) {
		return e.code
	}
	return 1
}

// unusable is the exit code of a command that could not run, and therefore has no verdict.
const unusable = 2

// judging wraps a command whose exit code 1 is a verdict on a server, so that all other errors exit
// with unusable.
func judging(cmd *cobra.Command) *cobra.Command {
	args, run := cmd.Args, cmd.RunE
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return exitError{unusable, explainFlag(cmd, err)} })
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return exitError{unusable, err}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		err := run(cmd, given)
		if e := (exitError{}); err == nil || errors.As(err, &e) {
			return err
		}
		return exitError{unusable, err}
	}
	return cmd
}
