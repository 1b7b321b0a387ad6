// Command otelws has tools for WebSocket servers: a demo, a proxy that measures any
// server, a check of a server's metrics, a load generator, and a probe of the network
// path to a server. Run it without arguments for a list.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/otelws/otelws-go/cmd/otelws/internal/plain"
	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Restore the default, so that a second signal kills the process.
	context.AfterFunc(ctx, stop)

	cmd := newRootCommand()
	cmd.SetArgs(args)
	out := secret.NewWriter(stdout)
	defer out.Flush()
	cmd.SetOut(out)
	cmd.SetErr(stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		if text := strings.TrimPrefix(err.Error(), "otelws: "); text != "" { // the library begins like this, too
			fmt.Fprintln(stderr, "otelws:", secret.Hide(plain.Text(strings.ReplaceAll(text, "\n", "; "))))
		}
		return exitCode(err)
	}
	return 0
}
