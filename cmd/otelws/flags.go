package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Flags are named as in Prometheus: a group, a dot and a name, both with hyphens, as in
// --tls.insecure-skip-verify.

// explainFlag adds to an error which values a flag accepts, or which flag was meant.
func explainFlag(cmd *cobra.Command, err error) error {
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		return unknownFlag(cmd, unknown.GetSpecifiedName())
	}
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("%w: see %s -h", err, cmd.CommandPath())
	}
	f, why := invalid.GetFlag(), invalid.Unwrap()
	if f.Value.Type() == "bool" {
		why = errors.New("use true or false")
	} else if number := (*strconv.NumError)(nil); errors.As(why, &number) {
		why = fmt.Errorf("use a number: %w", number.Err)
	} else if f.Value.Type() == "duration" {
		why = errors.New("use a duration, such as 30s")
	}
	return fmt.Errorf("--%s %s: %w", f.Name, invalid.GetValue(), why)
}

func unknownFlag(cmd *cobra.Command, name string) error {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := suggest(name, names); near != "" {
		return fmt.Errorf("unknown flag --%s: did you mean --%s?", name, near)
	}
	return fmt.Errorf("unknown flag --%s: see %s --help", name, cmd.CommandPath())
}

// choice is a flag with a fixed list of values, which the shell can complete.
type choice struct {
	value  string
	values []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "choice" }

func (c *choice) Set(v string) error {
	if !slices.Contains(c.values, v) {
		return fmt.Errorf("use %s", strings.Join(c.values, " or "))
	}
	c.value = v
	return nil
}

// choiceFlag adds a flag. Its default is the first value.
func choiceFlag(cmd *cobra.Command, name, usage string, values ...string) *choice {
	c := &choice{values[0], values}
	cmd.Flags().Var(c, name, usage)
	complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc(name, complete)
	return c
}

// noFiles stops the shell from completing file names for a flag.
func noFiles(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
}

// levelValue is a log level as a flag.
type levelValue struct{ *slog.Level }

func (v levelValue) String() string {
	if v.Level == nil {
		return ""
	}
	return strings.ToLower(v.Level.String())
}

func (v levelValue) Type() string { return "level" }

func (v levelValue) Set(text string) error {
	if v.UnmarshalText([]byte(text)) != nil {
		return errors.New("use debug, info, warn or error")
	}
	return nil
}
