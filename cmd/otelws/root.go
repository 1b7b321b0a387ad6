package main

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

// globalFlags are the flags of every command.
type globalFlags struct {
	logLevel slog.Level
}

func (f *globalFlags) logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: f.logLevel, ReplaceAttr: secret.Attr}))
}

func newRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "otelws",
		Short: "Tools for WebSocket servers: try, watch, check and load them",
		Long: `Tools for WebSocket servers: try, watch, check and load them.

Start with otelws demo. It needs only a browser.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// main prints the error, on one line.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.Version = version()
	cmd.SetVersionTemplate(versionLine())
	cmd.SetFlagErrorFunc(explainFlag)
	var global globalFlags
	cmd.PersistentFlags().Var(levelValue{&global.logLevel}, "log.level", "minimum `level` to log: debug, info, warn or error")
	proxy := newProxyCommand(&global)
	common(proxy, "backend", "listen", "route", "tls.cert")
	cmd.AddCommand(
		newCheckCommand(),
		newDemoCommand(&global),
		newHealthcheckCommand(),
		newLoadCommand(),
		newProbeCommand(),
		proxy,
		newTopCommand(),
		newVersionCommand(),
	)
	addHelp(cmd)
	return cmd
}
