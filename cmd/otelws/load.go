package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

const loadHelp = `Put a WebSocket server under load, and measure it.

The server is expected to echo, as that of otelws demo does on /echo; with --no-echo
nothing is expected back. Without --rate, every connection sends its next message when
the one before has come back. With it, messages are due at fixed times, from which
round trips are counted, so that a server which holds up one message shows in those
behind it.

With --verify, the server's metrics are scraped before and after, and what they went up
by is held against what was sent and received: connections, closes by code, messages,
bytes, frames, to the digit. That takes a server which nobody else uses meanwhile.
With compression, bytes are not compared.

Ctrl-C ends the run as its end would, with the results so far; a second one at once.

--format json prints an object with url, interrupted, seconds, connections, messages,
handshake, rtt, heartbeat, closes, errors and verification; times are in seconds.

The exit code is 0 if all went well, 1 if there were errors or the metrics disagree, and
2 if there was no result.`

type loadCommand struct {
	load.Config
	noEcho        bool
	headers       []string
	caFile        string
	insecure      bool
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
		Short: "Put a WebSocket server under load, and hold its metrics against it",
		Long:  loadHelp,
		Example: `  otelws load ws://localhost:8080/echo
  otelws load --connections 1000 --ramp 10s --rate 2 --size 64:70,1KiB:25,64KiB:5 --duration 1m wss://example.com/ws
  otelws load --messages 1000000 --verify http://localhost:9091/metrics ws://localhost:8080/echo`,
		Args:              between(1, 1, "the address of the server, such as ws://localhost:8080/echo"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVarP(&c.Connections, "connections", "c", 50, "`number` of connections at the same time")
	f.DurationVar(&c.Ramp, "ramp", time.Second, "time until the last connection is begun")
	f.DurationVar(&c.Lifetime, "lifetime", 0, "time after which a connection is replaced by another, 0 for never")
	f.DurationVarP(&c.Duration, "duration", "d", 10*time.Second, "time to send for; none where --messages is given alone")
	f.Int64VarP(&c.Messages, "messages", "n", 0, "`number` of messages to send in all, 0 for as many as there is time for")
	f.Var(&c.Sizes, "size", "message sizes: one, a range, or a list with weights")
	f.Float64Var(&c.Rate, "rate", 0, "messages a second for each connection, 0 for as many as possible")
	f.BoolVar(&c.Binary, "binary", false, "send binary messages instead of text")
	f.BoolVar(&c.Compression, "compression", false, "offer permessage-deflate")
	f.BoolVar(&c.noEcho, "no-echo", false, "expect nothing back")
	f.DurationVar(&c.Heartbeat, "heartbeat", 0, "time from one ping to the next, 0 for none")
	f.Float64Var(&c.Drop, "drop", 0, "`share` of connections that end without a close frame, from 0 to 1")
	f.Float64Var(&c.Slow, "slow", 0, "`share` of connections that read slowly, from 0 to 1")
	f.DurationVar(&c.SlowPause, "slow.pause", 100*time.Millisecond, "pause of slow readers after each message")
	f.StringArrayVarP(&c.headers, "header", "H", nil, "`header` of the handshakes, as 'Name: value'; may be repeated")
	f.StringVar(&c.caFile, "ca-file", "", "`file` with the certificates that the server's is checked against")
	f.BoolVar(&c.insecure, "insecure", false, "accept any certificate")
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "time that a handshake, a pong, and the end may take")
	f.StringVar(&c.Verify, "verify", "", "`address` of the server's metrics, to hold them against the run")
	f.StringVar(&c.config, "verify.http.config.file", "", "`file` with credentials and TLS settings for the metrics, as Prometheus's http_config")
	f.DurationVar(&c.VerifyTimeout, "verify.timeout", 10*time.Second, "time that the metrics may take to agree")
	c.format = choiceFlag(cmd, "format", "`form` of the output: text or json", "text", "json")
	f.StringVar(&c.jsonFile, "json", "", "`file` to write the result to as JSON as well")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "show no progress")
	noFiles(cmd, "connections", "ramp", "lifetime", "duration", "messages", "rate", "heartbeat", "drop",
		"slow", "slow.pause", "header", "timeout", "verify", "verify.timeout")
	sizes := cobra.FixedCompletions([]string{"64", "1KiB", "64-16KiB", "64:70,1KiB:25,64KiB:5"}, cobra.ShellCompDirectiveNoFileComp)
	_ = cmd.RegisterFlagCompletionFunc("size", sizes)
	return judging(cmd)
}

// prepare makes the flags a configuration.
func (c *loadCommand) prepare(cmd *cobra.Command, address string) error {
	c.URL, c.Echo = address, !c.noEcho
	if err := validateWebSocket(address); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if c.Messages > 0 && !cmd.Flags().Changed("duration") {
		c.Duration = 0
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if !c.Echo && c.Slow > 0 && c.Rate == 0 {
		return errors.New("--slow: there is nothing to read with --no-echo")
	}
	c.Header = http.Header{}
	for _, h := range c.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return errors.New("--header: use 'Name: value', such as 'Origin: https://example.com'") // it may be a token alone
		}
		c.Header.Add(name, strings.TrimSpace(value))
	}
	if err := c.prepareTLS(); err != nil {
		return err
	}
	if c.Verify == "" {
		return nil
	}
	if !scrape.IsURL(c.Verify) {
		return fmt.Errorf("--verify %s: use an address such as http://localhost:9091/metrics", c.Verify)
	}
	var err error
	if c.Metrics, err = scrape.NewClient(c.config, 10*time.Second, nil); err != nil {
		return fmt.Errorf("--verify.http.config.file %w", err)
	}
	return nil
}

func (c *loadCommand) prepareTLS() error {
	c.TLS = &tls.Config{InsecureSkipVerify: c.insecure}
	if c.caFile == "" {
		return nil
	}
	text, err := os.ReadFile(c.caFile)
	if err != nil {
		return fmt.Errorf("--ca-file: %w", err)
	}
	c.TLS.RootCAs = x509.NewCertPool()
	if !c.TLS.RootCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("--ca-file %s: holds no certificate in PEM form", c.caFile)
	}
	return nil
}

func (c *loadCommand) run(cmd *cobra.Command, address string) (err error) {
	if err := c.prepare(cmd, address); err != nil {
		return err
	}
	// Before the run, not after it.
	var file *os.File
	if c.jsonFile != "" {
		if file, err = os.Create(c.jsonFile); err != nil {
			return fmt.Errorf("--json: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	progress := showProgress(cmd.ErrOrStderr(), c.progressEvery)
	if c.quiet {
		progress = nil
	}
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
