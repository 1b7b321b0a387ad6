package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

const probeHelp = `Find out which silence, or which age, ends WebSocket connections.

A proxy or a balancer ends a connection that has been silent for some time, such
as nginx after 60 s. Others end every connection at some age. otelws probe finds
such limits from where the clients are. The address may leave out ws://.

It opens all connections at once, and takes as long as --max. Some are silent.
On others something passes all the time: TCP keepalives, pongs that nobody
answers, pings, or messages. They show what keeps a connection, and they tell a
limit on age from a limit on silence.

Some hops drop a connection and tell nobody. That shows only when something is
sent. For these hops there is a ladder of connections. They are silent for 4 %
less, and for 4 % more, than each common limit: 1, 2, 3, 5, 7, 10, 15, 20, 30,
45, 55, 60, 75, 90, 100, 120, 180, 240, 300, 350, 400, 600, 900, 1800, 3600 and
7200 s. Up to 2m these are 31 connections, beside 10 others. --no-ladder leaves
them out.

The messages are text. If the server ends a connection after one, use --message
with a text that it takes, such as the login that it waits for. If the server
itself sends, no connection is silent for longer than that.

Ctrl-C ends the run early, with the result so far. A second Ctrl-C kills it.

--format json prints an object. Times are in seconds:

  limits       [{on, seconds, least_seconds, most_seconds, seen, when_asked,
               code, reason, connections, known, keeps, lets_go}]
               on: "silence" or "age"; seen: "fin", "rst", "close" for a close
               frame, or "nothing"; when_asked: it showed when a ping was sent
  heartbeat    {seconds, of, otelws, proxy}, or null
  outlived_silence_seconds, reached_age_seconds
               the longest silence, and the greatest age, that did not end one
  late_seconds, answers_pings, unasked, disturbed, interrupted, notes
  connections  [{kind, start_seconds, age_seconds, silence_seconds, end, ...}]

Exit codes:

  0  no limit was seen up to --max
  1  there is a limit
  2  there was no result`

type probeCommand struct {
	probe.Config
	dialFlags
	noLadder bool
	format   *choice
	quiet    bool
}

func newProbeCommand() *cobra.Command {
	c := &probeCommand{}
	cmd := &cobra.Command{
		Use:   "probe URL",
		Short: "Find the limits of the proxies on the way to a WebSocket server",
		Long:  probeHelp,
		Example: `  otelws probe wss://example.com/ws
  otelws probe --max 20s localhost:8080/ws
  otelws probe --max 11m -H 'Origin: https://example.com' wss://example.com/ws
  otelws probe --subprotocol chat.v1 --message '{"type":"ping"}' example.com/ws
  otelws probe --max 75s --format json localhost:8080/ws | jq .heartbeat`,
		Args:              between(1, 1, "the address of the server, such as wss://example.com/ws"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.DurationVar(&c.Max, "max", 2*time.Minute, "longest silence and greatest age to try: the time of the run")
	f.DurationVar(&c.Every, "every", time.Second, "time between two pings or messages of the busy connections")
	f.StringVar(&c.Message, "message", "otelws probe", "`text` of the messages")
	f.BoolVar(&c.noLadder, "no-ladder", false, "do not look for hops that drop connections and tell nobody")
	c.add(cmd)
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "limit on a handshake, and on the wait for a pong")
	c.format = choiceFlag(cmd, "format", "`form` of the output: text or json", "text", "json")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "show no progress")
	common(cmd, "max", "message", "header", "subprotocol", "format")
	noFiles(cmd, "max", "every", "message", "timeout")
	return judging(cmd)
}

func (c *probeCommand) run(cmd *cobra.Command, address string) (err error) {
	if c.URL, err = webSocketAddress(address); err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if c.Header, err = c.header(); err != nil {
		return err
	}
	if c.TLS, err = c.tls(); err != nil {
		return err
	}
	c.Subprotocols, c.Ladder = c.subprotocols, !c.noLadder
	show := showProgress(cmd.ErrOrStderr(), 0, probeProgress)
	if c.quiet {
		show = nil
	}
	result, err := probe.Run(cmd.Context(), c.Config, show)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if c.format.value == "json" {
		err = result.WriteJSON(out)
	} else {
		err = result.WriteText(out, columns(out))
	}
	switch {
	case err != nil:
		return err
	case len(result.Limits) > 0:
		return exitError{code: 1}
	}
	return nil
}
