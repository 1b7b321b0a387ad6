package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// exitError ends the command with an exit code. It prints nothing if it has no
// error.
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

// exitCode is 1 for an error without a code.
func exitCode(err error) int {
	var e exitError
	if errors.As(err, &e) {
		return e.code
	}
	return 1
}

// unusable is the exit code of a command that could not do its work, and so has
// no verdict.
const unusable = 2

// judging makes a command whose exit code 1 is a verdict on a server. Every other
// error exits with unusable.
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
