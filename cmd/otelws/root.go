package main

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"
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
		// main prints the error, in one line.
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true,
	}
	var global globalFlags
	cmd.PersistentFlags().TextVar(&global.logLevel, "log.level", slog.LevelInfo,
		"log from this `level` on: debug, info, warn or error")
	cmd.AddCommand(
		newCheckCommand(),
		newDemoCommand(&global),
		newLoadCommand(),
		newProxyCommand(&global),
		newVersionCommand(),
	)
	return cmd
}
