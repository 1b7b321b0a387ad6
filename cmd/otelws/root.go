package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// globalFlags are those of every command.
type globalFlags struct {
	logLevel slog.Level
}

func (f *globalFlags) logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: f.logLevel}))
}

func newRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "otelws",
		Short: "WebSocket connections, watched on the wire by OpenTelemetry",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// main prints the error, in one line.
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true,
	}
	cmd.Version = version()
	cmd.SetVersionTemplate(versionLine())
	cmd.SetFlagErrorFunc(explainFlag)
	var global globalFlags
	cmd.PersistentFlags().Var(levelValue{&global.logLevel}, "log.level",
		"log from this `level` on: debug, info, warn or error")
	cmd.AddCommand(
		newCheckCommand(),
		newDemoCommand(&global),
		newHealthcheckCommand(),
		newLoadCommand(),
		newProxyCommand(&global),
		newVersionCommand(),
	)
	return cmd
}

// knownCommand refuses what is no command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("there is no command %q: use one of %s", args[0], strings.Join(names, ", "))
}

// explainFlag says what a flag takes where its value is none of it, and where
// to read about the flags where there is no such flag.
func explainFlag(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
	}
	f, why := invalid.GetFlag(), invalid.Unwrap()
	if number := (*strconv.NumError)(nil); errors.As(why, &number) {
		why = fmt.Errorf("use a number: %w", number.Err)
	} else if f.Value.Type() == "duration" {
		why = errors.New("use a duration, such as 30s")
	}
	return fmt.Errorf("--%s %s: %w", f.Name, invalid.GetValue(), why)
}

// levelValue is a log level as a flag.
type levelValue struct{ *slog.Level }

func (v levelValue) Type() string { return "level" }

func (v levelValue) Set(text string) error {
	if v.UnmarshalText([]byte(text)) != nil {
		return errors.New("use debug, info, warn or error")
	}
	return nil
}
