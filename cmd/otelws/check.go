package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/checklist"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

var checkHelp = `Check the metrics of a WebSocket server against the operational checklist.

The server may use any library. The argument is the address of its metrics, a
file, or - for standard input. An address may leave out http:// and /metrics,
and is scraped twice. Of two sources, the first is the older scrape. otelws
reads the Prometheus text format and OpenMetrics.

It checks these items, one on each line of the output:

` + checklist.Help() + `
An item is ok, a warning, failed, or skipped if the sources do not have enough
data. A warning or a failure says why, and what to do.

To find out whether the port of the metrics also accepts WebSockets, otelws
sends it up to three handshakes with an invalid version. They open no
connection. With --websocket, it checks instead whether that address serves
metrics. It also reads the last closed connections at /debug/ws, if that page is
beside the metrics.

--format json prints an object:

  target   the source, without a password
  status   the worst status of the items
  series   the number of series
  items    [{name, status, summary, findings}]
           findings: [{status, metrics, why, advice}]

A status is "ok", "warning", "failed" or "skipped".

Exit codes:

  0  nothing failed
  1  an item failed, or with --strict there was a warning
  2  the check could not run`

type checkCommand struct {
	checklist.Options
	config  string
	timeout time.Duration
	strict  bool
	format  *choice
}

func newCheckCommand() *cobra.Command {
	c := &checkCommand{}
	cmd := &cobra.Command{
		Use:   "check URL|FILE|- [URL|FILE|-]",
		Short: "Check the metrics of a WebSocket server, whatever its library",
		Long:  checkHelp,
		Example: `  otelws check localhost:9091
  otelws check --strict --websocket wss://example.com/ws http://10.0.0.7:9091/m
  otelws check before.txt after.txt
  otelws check --format json localhost:9091 | jq .status`,
		Args: between(1, 2, "the address of the metrics, such as http://localhost:9091/metrics, or a file"),
		RunE: func(cmd *cobra.Command, sources []string) error { return c.run(cmd, sources) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&c.Idle, "idle", false, "the server has no connections now, so the gauge must be 0")
	f.BoolVar(&c.strict, "strict", false, "exit with 1 for warnings, too")
	f.StringVar(&c.WebSocket, "websocket", "", "public `address` of the WebSockets, which must not serve metrics")
	c.format = choiceFlag(cmd, "format", "output `format`: text or json", "text", "json")
	f.DurationVar(&c.Interval, "interval", time.Second, "time between the two scrapes, 0 for a single scrape")
	f.DurationVar(&c.timeout, "timeout", 10*time.Second, "time limit of a scrape")
	f.StringVar(&c.config, "http.config.file", "", "`file` with credentials and TLS settings, as Prometheus's http_config")
	noFiles(cmd, "interval", "timeout", "websocket")
	common(cmd, "idle", "strict", "websocket", "format", "http.config.file")
	return judging(cmd)
}

func (c *checkCommand) validate() (err error) {
	if c.Interval < 0 {
		return fmt.Errorf("--interval %v: use a positive duration, or 0 for one scrape", c.Interval)
	}
	if c.timeout <= 0 {
		return fmt.Errorf("--timeout %v: use a positive duration", c.timeout)
	}
	if c.WebSocket != "" {
		if c.WebSocket, err = webSocketAddress(c.WebSocket); err != nil {
			return fmt.Errorf("--websocket %w", err)
		}
	}
	return nil
}

func (c *checkCommand) run(cmd *cobra.Command, sources []string) error {
	if err := c.validate(); err != nil {
		return err
	}
	if len(sources) == 2 && sources[0] == "-" && sources[1] == "-" {
		return errors.New("- - : give standard input only once")
	}
	client, err := scrape.NewClient(c.config, c.timeout, cmd.InOrStdin())
	if err != nil {
		return fmt.Errorf("--http.config.file %w", err)
	}
	for _, source := range sources {
		c.Sources = append(c.Sources, scrape.Address(source))
	}
	c.Client = client
	report, err := checklist.Run(cmd.Context(), c.Options)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if c.format.value == "json" {
		err = report.WriteJSON(out)
	} else {
		err = report.WriteText(out, coloured(out), columns(out))
	}
	switch {
	case err != nil:
		return err
	case report.Status == checklist.Failed || c.strict && report.Status == checklist.Warning:
		return exitError{code: 1}
	}
	return nil
}
