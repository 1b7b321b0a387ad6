package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

const loadHelp = `Put a WebSocket server under load, and measure it.

The server must echo each message, as otelws demo does on /echo. With --no-echo,
no answer is expected. The address may leave out ws://.

Without --rate, each connection sends a message when the previous one has come
back. With --rate, messages are sent at fixed times, and a round trip begins at
that time. Thus a delay of one message also shows in the messages behind it.

With --verify, otelws scrapes the server's metrics before and after the run. It
checks that they increased by exactly its own counts of connections, close
codes, messages, bytes and frames. Nobody else may use the server during the
run. With compression, bytes are not compared.

Ctrl-C ends the run early and prints the results so far. A second Ctrl-C exits
at once.

--format json prints an object. Times are in seconds:

  url, settings  the target, and the flags of the run
  interrupted    whether Ctrl-C ended the run
  seconds        the length of the run
  connections    {opened, failed, dropped, compressed}
  messages       {sent, received, sent_bytes, received_bytes, unanswered,
                 sent_per_second}
  handshake, rtt, heartbeat
                 {count, mean, p50, p90, p95, p99, p999, max, buckets}, or null
                 if nothing was measured; buckets: [{to, count}]
  closes         the number of connections by close code
  errors         [{kind, count, example}]
  verification   with --verify: {status, comparisons, notes}; comparisons:
                 [{series, done, server}]; a status is "agrees", "disagrees",
                 "disturbed" by others, or "impossible"

Exit codes:

  0  there were no errors, and with --verify the metrics agree
  1  there were errors, or the metrics do not agree
  2  the run gave no result`

type loadCommand struct {
	load.Config
	dialFlags
	noEcho        bool
	config        string
	format        *choice
	jsonFile      string
	quiet         bool
	progressEvery time.Duration
}

func newLoadCommand() *cobra.Command {
	c := &loadCommand{progressEvery: lineEvery}
	c.Sizes, _ = load.ParseSizes("64")
	cmd := &cobra.Command{
		Use:   "load URL",
		Short: "Put a WebSocket server under load, and compare its metrics",
		Long:  loadHelp,
		Example: `  otelws load localhost:8080/echo
  otelws load -c 1000 --ramp 10s --rate 2 -d 1m wss://example.com/ws
  otelws load --size 64:70,1KiB:25,64KiB:5 --drop 0.1 localhost:8080/echo
  otelws load -n 1000000 --verify localhost:9091 localhost:8080/echo`,
		Args:              between(1, 1, "the address of the server, such as ws://localhost:8080/echo"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVarP(&c.Connections, "connections", "c", 50, "`number` of concurrent connections")
	f.DurationVar(&c.Ramp, "ramp", time.Second, "time to open all connections")
	f.DurationVar(&c.Lifetime, "lifetime", 0, "time until a new connection replaces a connection, 0 for never")
	f.DurationVarP(&c.Duration, "duration", "d", 10*time.Second, "time to send; if only --messages is given, no limit")
	f.Int64VarP(&c.Messages, "messages", "n", 0, "total `number` of messages, 0 for no limit")
	f.Var(&c.Sizes, "size", "size of messages: one size, a range, or a list with weights")
	f.Float64Var(&c.Rate, "rate", 0, "`number` of messages a second for each connection, 0 for as many as possible")
	f.BoolVar(&c.Binary, "binary", false, "send binary messages instead of text")
	f.BoolVar(&c.Compression, "compression", false, "offer permessage-deflate")
	f.BoolVar(&c.noEcho, "no-echo", false, "expect no answer")
	f.DurationVar(&c.Heartbeat, "heartbeat", 0, "`interval` of the pings, 0 for none")
	f.Float64Var(&c.Drop, "drop", 0, "`share` of connections that end without a close frame, from 0 to 1")
	f.Float64Var(&c.Slow, "slow", 0, "`share` of connections that read slowly, from 0 to 1")
	f.DurationVar(&c.SlowPause, "slow.pause", 100*time.Millisecond, "`pause` of slow readers after each message")
	c.add(cmd)
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "time limit of a handshake, of an echo, of a pong, and of the end of the run")
	f.StringVar(&c.Verify, "verify", "", "`address` of the server's metrics, to compare with the run")
	f.StringVar(&c.config, "verify.http.config.file", "", "`file` with credentials and TLS settings for the metrics, as Prometheus's http_config")
	f.DurationVar(&c.VerifyTimeout, "verify.timeout", 10*time.Second, "time limit until the metrics must agree")
	c.format = choiceFlag(cmd, "format", "output `format`: text or json", "text", "json")
	f.StringVar(&c.jsonFile, "json", "", "also write the result to a `file`, as JSON")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "show no progress")
	common(cmd, "connections", "duration", "messages", "size", "rate", "verify")
	noFiles(cmd, "connections", "ramp", "lifetime", "duration", "messages", "rate", "heartbeat", "drop",
		"slow", "slow.pause", "timeout", "verify", "verify.timeout")
	sizes := cobra.FixedCompletions([]string{"64", "1KiB", "64-16KiB", "64:70,1KiB:25,64KiB:5"}, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("size", sizes)
	return judging(cmd)
}

// prepare turns the flags into a configuration.
func (c *loadCommand) prepare(cmd *cobra.Command, address string) error {
	c.Echo = !c.noEcho
	var err error
	if c.URL, err = webSocketAddress(address); err != nil {
		return err
	}
	if c.Messages > 0 && !cmd.Flags().Changed("duration") {
		c.Duration = 0
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if !c.Echo && c.Slow > 0 && c.Rate == 0 {
		return errors.New("--slow: a slow reader needs an echo to read: leave out --no-echo")
	}
	if c.Header, err = c.header(); err != nil {
		return err
	}
	if c.TLS, err = c.tls(); err != nil {
		return err
	}
	c.Subprotocols = c.subprotocols
	if c.Verify == "" {
		return nil
	}
	if c.Verify = scrape.Address(c.Verify); !scrape.IsURL(c.Verify) {
		return fmt.Errorf("--verify %s: use an address such as http://localhost:9091/metrics", c.Verify)
	}
	if c.Metrics, err = scrape.NewClient(c.config, 10*time.Second, nil); err != nil {
		return fmt.Errorf("--verify.http.config.file %w", err)
	}
	return nil
}

func (c *loadCommand) run(cmd *cobra.Command, address string) (err error) {
	if err := c.prepare(cmd, address); err != nil {
		return err
	}
	// Create the file first, so that an error shows before the run.
	var file *os.File
	if c.jsonFile != "" {
		if file, err = os.Create(c.jsonFile); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	progress := showProgress(cmd.ErrOrStderr(), c.progressEvery, loadProgress)
	if c.quiet {
		progress = nil
	}
	defer logNetHTTP(slog.New(slog.DiscardHandler))() // of servers that speak before they are asked
	result, err := load.Run(cmd.Context(), c.Config, progress)
	if err != nil {
		return err
	}
	if file != nil {
		if err := result.WriteJSON(secret.NewWriter(file)); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
	}
	write := result.WriteText
	if c.format.value == "json" {
		write = result.WriteJSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if !result.OK() {
		return exitError{code: 1}
	}
	return nil
}
