package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/checklist"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

const checkHelp = `Hold the metrics of a WebSocket server against the operational checklist.

It takes any endpoint that exposes ws_connections_active and its like, whatever
wrote it: an address, which is scraped twice, a file, or - for standard input.
Of two sources the second is the later scrape.

Each line is an item: ok, warning, failed, or skipped where it could not be told;
why, and what to do.

  scrape        the endpoint answers as Prometheus wants it
  series        the expected metrics are there, with their types
  runtime       the process's own are there; file descriptors are below their limit
  conservation  opened = active + closed, in every label set
  idle          with --idle, the gauge is at 0
  counters      none went backwards between two scrapes
  labels        none looks unbounded (users, sessions, addresses, UUIDs)
  buckets       observations are not all in the first bucket or in +Inf
  units         times are plausible as seconds
  names         the conventions of Prometheus
  exposure      the metrics have a port of their own, on no public address

To find WebSockets on the metrics' port it sends up to three handshakes for a
version that does not exist, which open nothing. With --websocket it asks that
address for the metrics instead.

--format json prints an object with target, status, series and items; an item has
name, status, summary and findings; a finding has status, metrics, why and advice.
A status is "ok", "warning", "failed" or "skipped".

The exit code is 0 if nothing failed, 1 if something did (or, with --strict, if
there is a warning), and 2 if there was nothing to check.`

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
		Short: "Check the metrics of a WebSocket server against the operational checklist",
		Long:  checkHelp,
		Example: `  otelws check http://localhost:9091/metrics
  otelws check --idle --strict --websocket wss://example.com/ws http://10.0.0.7:9091/metrics
  otelws check before.txt after.txt`,
		Args: between(1, 2, "the address or the file of the metrics, such as http://localhost:9091/metrics, or two scrapes of the same"),
		RunE: func(cmd *cobra.Command, sources []string) error { return c.run(cmd, sources) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.Idle, "idle", false, "the server has no connections: the gauge must be at 0")
	f.DurationVar(&c.Interval, "interval", time.Second, "time between two scrapes of an address, 0 for one scrape")
	f.StringVar(&c.WebSocket, "websocket", "", "`address` of the WebSockets, ws:// or wss://, where the metrics must not be")
	f.StringVar(&c.config, "http.config.file", "", "`file` with credentials and TLS settings, as Prometheus's http_config")
	f.DurationVar(&c.timeout, "timeout", 10*time.Second, "time that a scrape may take")
	f.BoolVar(&c.strict, "strict", false, "exit with 1 for warnings too")
	c.format = choiceFlag(cmd, "format", "`form` of the output: text or json", "text", "json")
	noFiles(cmd, "interval", "timeout", "websocket")
	return judging(cmd)
}

func (c *checkCommand) validate() error {
	if c.Interval < 0 {
		return fmt.Errorf("--interval %v: use a positive duration, or 0 for one scrape", c.Interval)
	}
	if c.timeout <= 0 {
		return fmt.Errorf("--timeout %v: use a positive duration", c.timeout)
	}
	if c.WebSocket != "" {
		if err := validateWebSocket(c.WebSocket); err != nil {
			return fmt.Errorf("--websocket %s: %w", c.WebSocket, err)
		}
	}
	return nil
}

func validateWebSocket(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return errors.New("use an address such as ws://localhost:8080/ws")
	}
	return nil
}

func (c *checkCommand) run(cmd *cobra.Command, sources []string) error {
	if err := c.validate(); err != nil {
		return err
	}
	if len(sources) == 2 && sources[0] == "-" && sources[1] == "-" {
		return errors.New("- - : standard input can be read once")
	}
	client, err := scrape.NewClient(c.config, c.timeout, cmd.InOrStdin())
	if err != nil {
		return fmt.Errorf("--http.config.file %w", err)
	}
	c.Sources, c.Client = sources, client
	report, err := checklist.Run(cmd.Context(), c.Options)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if c.format.value == "json" {
		err = report.WriteJSON(out)
	} else {
		err = report.WriteText(out, coloured(out))
	}
	switch {
	case err != nil:
		return err
	case report.Status == checklist.Failed || c.strict && report.Status == checklist.Warning:
		return exitError{code: 1}
	}
	return nil
}
