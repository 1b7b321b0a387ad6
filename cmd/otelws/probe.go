package main

import (
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/probe"
)

const probeHelp = `Find out which silence, or which age, ends WebSocket connections.

A proxy or a balancer ends a connection that has been silent for some time, such
as nginx after 60 s. Others end every connection at some age. otelws probe finds
such limits from where the clients are. The address may leave out ws://.

It opens all connections at once, and takes as long as --max. Some connections
are silent. Others have regular traffic: TCP keepalives, unanswered pongs,
pings, or messages. They show which traffic keeps a connection open, and whether
a limit is on age or on silence.

Some hops drop a connection silently. Only later data shows that. To find these
hops, a ladder of connections is silent for 4 % less, and for 4 % more, than
each common limit: 1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 55, 60, 75, 90, 100, 120,
180, 240, 300, 350, 400, 600, 900, 1800, 3600 and 7200 s. With --max 2m the
ladder has 31 connections, beside 10 others. --no-ladder leaves them out.

The messages are text. If the server closes a connection after a message, use
--message with a text that the server accepts, such as the login that it
expects. If the server itself sends data, no connection is silent for longer
than the server.

Ctrl-C ends the run early, with the result so far. A second Ctrl-C kills it.

--format json prints an object. Times are in seconds:

  limits       [{on, seconds, least_seconds, most_seconds, seen, when_asked,
               code, reason, connections, known, keeps, lets_go}]
               on: "silence" or "age"; seen: "fin", "rst", "close" for a close
               frame, or "nothing"; when_asked: only a ping showed the end
  heartbeat    {seconds, of, otelws, proxy}, or null
  outlived_silence_seconds, reached_age_seconds
               longest silence and greatest age that did not end a connection
  late_seconds, answers_pings, unasked, disturbed, interrupted, notes
  connections  [{kind, start_seconds, age_seconds, silence_seconds, end, ...}]

Exit codes:

  0  no limit was seen up to --max
  1  there is a limit
  2  there is no result`

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
	f.DurationVar(&c.Max, "max", 2*time.Minute, "longest silence and greatest age to try, and the duration of the run")
	f.DurationVar(&c.Every, "every", time.Second, "time between two pings or messages on busy connections")
	f.StringVar(&c.Message, "message", "otelws probe", "`text` of the messages")
	f.BoolVar(&c.noLadder, "no-ladder", false, "do not test for hops that drop connections silently")
	c.add(cmd)
	f.DurationVar(&c.Timeout, "timeout", 10*time.Second, "time limit of a handshake, and of a pong")
	c.format = choiceFlag(cmd, "format", "output `format`: text or json", "text", "json")
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
	defer logNetHTTP(slog.New(slog.DiscardHandler))() // of servers that speak before they are asked
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
