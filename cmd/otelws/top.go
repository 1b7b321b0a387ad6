package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/live"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

const topHelp = `Show the open WebSocket connections of a process, and the last ones that ended.

The URL is the address of the metrics of otelws demo, of otelws proxy, or of a
service with this page:

  exp.AddPage("/debug/ws", "WebSockets", ws.DebugHandler(exporter.MayIdentify))

Keys:
  r s i a t u w   sort by received, sent, idle, age, round trip, unsent, writing
  /               filter by a part of an address, a subprotocol, a trace or an
                  attribute, or by name=value
  tab             show the connections that ended, or the open ones again
  enter           show all details of a connection

--once prints a table and exits. With --format json, it prints JSON.`

type top struct {
	query   live.Query
	every   time.Duration
	once    bool
	format  *choice
	sort    *choice
	role    *choice
	config  string
	timeout time.Duration
}

func newTopCommand() *cobra.Command {
	t := &top{}
	cmd := &cobra.Command{
		Use:   "top URL",
		Short: "Show the live connections of a WebSocket server",
		Long:  topHelp,
		Example: `  otelws top http://localhost:9091
  otelws top --once --sort idle --filter state=close_sent --format json http://localhost:9091 | jq .connections`,
		Args: between(1, 1, "the address of the metrics, such as http://localhost:9091"),
		RunE: func(cmd *cobra.Command, args []string) error { return t.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	t.sort = choiceFlag(cmd, "sort", "sort `key`, the greatest first: "+strings.Join(live.Sorts, ", "), live.Sorts...)
	f.IntVarP(&t.query.N, "number", "n", 50, "maximum `number` of connections, up to 1000")
	t.role = choiceFlag(cmd, "role", "`role` of this process: server, client or both", "both", "server", "client")
	f.StringVar(&t.query.Filter, "filter", "", "show connections with this `text`, or name=value")
	f.DurationVar(&t.every, "interval", 2*time.Second, "time between two updates")
	f.BoolVar(&t.once, "once", false, "print once and exit")
	t.format = choiceFlag(cmd, "format", "output `format` with --once: table or json", "table", "json")
	f.StringVar(&t.config, "http.config.file", "", "`file` with credentials and TLS settings, as Prometheus's http_config")
	f.DurationVar(&t.timeout, "timeout", 10*time.Second, "time limit of a request")
	noFiles(cmd, "number", "filter", "interval", "timeout")
	common(cmd, "sort", "filter", "role", "once", "format")
	return cmd
}

func (t *top) validate() error {
	switch {
	case t.query.N < 1 || t.query.N > 1000:
		return fmt.Errorf("--number %d: use a number from 1 to 1000", t.query.N)
	case t.every < 100*time.Millisecond:
		return fmt.Errorf("--interval %v: use 100ms or more", t.every)
	case t.timeout <= 0:
		return fmt.Errorf("--timeout %v: use a positive duration", t.timeout)
	case t.format.value == "json" && !t.once:
		return errors.New("--format json: add --once")
	}
	t.query.Sort = t.sort.value
	if t.role.value != "both" {
		t.query.Role = t.role.value
	}
	return nil
}

func (t *top) run(cmd *cobra.Command, address string) error {
	if err := t.validate(); err != nil {
		return err
	}
	client, _, err := scrape.NewHTTPClient(t.config)
	if err != nil {
		return fmt.Errorf("--http.config.file %w", err)
	}
	source, err := live.NewSource(address, client, t.timeout)
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if t.once {
		return t.print(cmd, source)
	}
	// The screen is not line-oriented, so it bypasses the line writer and uses the terminal itself.
	terminal, ok := fileOf(cmd.OutOrStdout())
	if !ok || !isTerminal(terminal) {
		return errors.New("the output is not a terminal: add --once")
	}
	return live.Watch(cmd.Context(), source, t.query, t.every, tea.WithInput(cmd.InOrStdin()), tea.WithOutput(terminal))
}

func (t *top) print(cmd *cobra.Command, source *live.Source) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	if t.format.value == "json" {
		raw, err := source.Raw(ctx, t.query)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := json.Indent(&b, raw, "", "  "); err != nil {
			return err
		}
		_, err = b.WriteTo(out)
		return err
	}
	a, err := source.Get(ctx, t.query)
	if err != nil {
		return err
	}
	a.Closed = a.Closed[:min(len(a.Closed), 10)]
	return a.WriteTable(out, t.query)
}
