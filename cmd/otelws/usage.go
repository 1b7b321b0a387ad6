package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

// unusable is the exit code for a command that could not do its work, so that
// it says nothing of the server.
const unusable = 2

// judging makes a command whose exit code 1 is a verdict: what keeps it from
// one is 2.
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
		if _, ok := err.(exitError); err != nil && !ok {
			return exitError{unusable, err}
		}
		return err
	}
	return cmd
}

// between has a command take from least to most arguments, which what describes.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch n := len(args); {
		case most == 0 && n > 0:
			return fmt.Errorf("%q is too much: see %s --help", args[0], cmd.CommandPath())
		case n < least:
			return fmt.Errorf("give %s: see %s --help", what, cmd.CommandPath())
		case n > most:
			return fmt.Errorf("%q is too much, give %s: see %s --help", args[most], what, cmd.CommandPath())
		}
		return nil
	}
}

// choice is a flag with few values, which the shell completes.
type choice struct {
	value  string
	values []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }

func (c *choice) Set(v string) error {
	if !slices.Contains(c.values, v) {
		return fmt.Errorf("use %s", strings.Join(c.values, " or "))
	}
	c.value = v
	return nil
}

// choiceFlag adds a flag whose default is the first of the values.
func choiceFlag(cmd *cobra.Command, name, usage string, values ...string) *choice {
	c := &choice{values[0], values}
	cmd.Flags().Var(c, name, usage)
	complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc(name, complete)
	return c
}

// noFiles keeps the shell from completing files for a flag.
func noFiles(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
}

// isTerminal is whether somebody looks at w.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*secret.Writer); ok {
		w = s.Unwrap()
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func coloured(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
