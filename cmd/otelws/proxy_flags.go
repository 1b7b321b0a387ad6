package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// proxyCommand is the command's flags.
type proxyCommand struct {
	listen         string
	metrics        string
	webConfig      string
	config         proxy.Config
	routes         []string
	subprotocols   []string
	closeCodes     []int
	kinds          messageKinds
	kindsPrefix    int
	heartbeats     heartbeats
	drain          goodbye
	debugHosts     []string
	logConnections bool
	configFile     string

	flags *pflag.FlagSet // with those of the file
	given *pflag.FlagSet // without
}

func newProxyCommand(global *globalFlags) *cobra.Command {
	var p proxyCommand
	cmd := &cobra.Command{
		Use:   "proxy --backend URL",
		Short: "Watch the connections of any WebSocket server, as a proxy in front of it",
		Example: `  otelws proxy --backend http://localhost:3000 --route '/chat/{room}' --route /feed
  otelws proxy --listen :443 --tls.cert tls.crt --tls.key tls.key --limit.client-connections 100 --backend unix:/run/app.sock
  otelws proxy --listen :8080 --trusted-proxy 10.0.0.0/8 --backend http://localhost:3000`,
		Long: proxyHelp,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := p.withFile(cmd.Flags())
			if err != nil {
				return err
			}
			return p.run(cmd.Context(), cmd.OutOrStdout(), global.logger(cmd.ErrOrStderr()))
		},
	}
	p.addFlags(cmd.Flags())
	return cmd
}

func (p *proxyCommand) addFlags(f *pflag.FlagSet) {
	c := &p.config
	l := &c.Limits
	f.SetNormalizeFunc(dottedDrain)
	f.StringVar(&p.listen, "listen", "localhost:8080", "`address` that clients connect to")
	f.StringVar(&c.ServerTLS.Cert, "tls.cert", "", "PEM `file` with the certificate of that listener, read again when it changes")
	f.StringVar(&c.ServerTLS.Key, "tls.key", "", "PEM `file` with its key")
	f.StringVar(&c.Backend, "backend", "", "`URL` of the server: http, https, ws or wss, or unix:/path (required)")
	f.StringVar(&c.BackendTLS.CA, "backend.ca", "", "PEM `file` with the authorities of the backend's certificate, for those of the system")
	f.StringVar(&c.BackendTLS.ServerName, "backend.server-name", "", "`name` in the backend's certificate, for the host of its URL")
	f.BoolVar(&c.BackendTLS.Insecure, "backend.insecure-skip-verify", false, "take any certificate of the backend")
	f.StringVar(&c.Host, "backend.host", "", "`host` header for the backend, for that of the client")
	f.DurationVar(&c.ConnectTimeout, "backend.connect-timeout", 5*time.Second, "limit on a connection to the backend, 0 for none")
	f.DurationVar(&c.ResponseTimeout, "backend.response-timeout", time.Minute, "limit on the wait for the head of a response, 0 for none")
	f.StringArrayVar(&c.Upgrades, "upgrade", nil, "name of a `protocol` to tunnel beside websocket, unseen by the metrics (repeatable)")
	f.Var(&c.Trusted, "trusted-proxy", "`network` of proxies in front of this one whose word on clients is taken (repeatable)")
	f.Var(&c.Forwarded, "forwarded", "X-Forwarded-For and its like: append for trusted proxies, replace what anybody sent, off to leave\nwhat came; auto is append for trusted proxies and replace for others")
	f.BoolVar(&c.TrustTraces, "trace.trust-clients", false, "take the trace that any client names for the handshake's own, not only a trusted proxy's")
	f.IntVar(&l.Connections, "limit.connections", 0, "`number` of clients' connections, 503 above; 0 for as many as there are file descriptors for, less a reserve")
	f.IntVar(&l.ClientConnections, "limit.client-connections", 0, "`number` of connections of one client, 429 above; 0 for no limit")
	f.IntVar(&l.IPv6Prefix, "limit.ipv6-prefix", 64, "`bits` of an IPv6 network that is one client")
	f.Float64Var(&l.Handshakes, "limit.handshakes", 0, "WebSocket handshakes a second, 503 above; 0 for no limit")
	f.Float64Var(&l.ClientHandshakes, "limit.client-handshakes", 0, "WebSocket handshakes a second of one client, 429 above; 0 for no limit")
	f.IntVar(&l.HeaderBytes, "limit.header-bytes", 64<<10, "`bytes` of a request's head, 431 above")
	f.DurationVar(&l.HandshakeTime, "limit.handshake-time", 10*time.Second, "time for TLS and the first request of a connection, 408 after it")
	f.DurationVar(&l.Idle, "limit.idle", 0, "time that a WebSocket may go without a byte, 0 for no limit")
	f.Int64Var(&l.BufferBytes, "limit.buffer-bytes", 64<<20, "`bytes` of large buffers in all; what finds none left goes through a small one")
	f.IntVar(&l.SocketBytes, "limit.socket-bytes", 0, "`bytes` of the kernel's buffers for a client that reads slowly, 0 to leave it to the kernel")
	f.StringArrayVar(&p.routes, "route", nil, "path `pattern` to count connections by, such as /chat/{room}; others are counted as other (repeatable)")
	f.StringArrayVar(&p.subprotocols, "subprotocol", nil, "`name` of a subprotocol to count connections by (repeatable)")
	f.IntSliceVar(&p.closeCodes, "close-code", nil, "close `code` from 3000 to 4999 to count by itself (repeatable)")
	f.Var(&p.kinds, "message-kinds", "`reader` of the kinds to count messages by, such as json:type=chat,typing or graphql-transport-ws;\nwithout it no message is read")
	f.IntVar(&p.kindsPrefix, "message-kinds.prefix", messagekind.DefaultPrefix, "`bytes` at the beginning of a message that are read for it")
	f.StringVar(&p.metrics, "metrics", exporter.DefaultListenAddress, "`address` of the metrics, /-/ready and /debug/ws")
	f.StringArrayVar(&p.debugHosts, "debug.host", nil, "`name` of this host by which /debug/ws is asked for without authentication, addresses included (repeatable)")
	f.StringVar(&p.webConfig, "web.config.file", "", "`file` with TLS and authentication for the metrics, as Prometheus exporters take it")
	f.DurationVar(&p.heartbeats.clients, "heartbeat", 0, "time from one ping of the proxy's to the next, for each client, 0 for none")
	f.DurationVar(&p.heartbeats.backend, "backend.heartbeat", 0, "the same for each connection to the backend")
	f.DurationVar(&c.DrainTimeout, "drain.timeout", 25*time.Second, "time for connections to end after a signal; orchestrators usually kill after 30 s")
	f.DurationVar(&p.drain.spread, "drain.spread", 10*time.Second, "part of that time over which clients are told, one after the other; at most half of it unless set")
	f.IntVar(&p.drain.code, "drain.code", int(websocket.StatusServiceRestart), "close `code` that they are told: 1001, 1012 or one from 3000 to 4999")
	f.BoolVar(&p.logConnections, "log.connections", false, "log each connection when it has ended")
	f.StringVar(&p.configFile, "config.file", "", "YAML `file` with flags that SIGHUP has read again, as limit.idle: 5m")
}

// validate returns an error that names the flag.
func (p *proxyCommand) validate() error {
	c := &p.config
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"backend.connect-timeout", c.ConnectTimeout},
		{"backend.response-timeout", c.ResponseTimeout},
		{"drain.timeout", c.DrainTimeout},
		{"drain.spread", p.drain.spread},
		{"heartbeat", p.heartbeats.clients},
		{"backend.heartbeat", p.heartbeats.backend},
		{"limit.idle", c.Limits.Idle},
	} {
		if d.value < 0 {
			return fmt.Errorf("--%s %v: use a positive duration, or 0", d.flag, d.value)
		}
	}
	if err := p.drain.validate(c.DrainTimeout); err != nil {
		return err
	}
	if c.Backend == "" {
		return errors.New("--backend is missing: give the URL of the server, such as http://localhost:3000")
	}
	if c.Limits.HandshakeTime <= 0 {
		return fmt.Errorf("--limit.handshake-time %v: use a positive duration", c.Limits.HandshakeTime)
	}
	for _, n := range []struct {
		flag  string
		value float64
		least float64
	}{
		{"limit.connections", float64(c.Limits.Connections), 0},
		{"limit.client-connections", float64(c.Limits.ClientConnections), 0},
		{"limit.ipv6-prefix", float64(c.Limits.IPv6Prefix), 1},
		{"limit.handshakes", c.Limits.Handshakes, 0},
		{"limit.client-handshakes", c.Limits.ClientHandshakes, 0},
		{"limit.header-bytes", float64(c.Limits.HeaderBytes), 1 << 10},
		{"limit.socket-bytes", float64(c.Limits.SocketBytes), 0},
		{"limit.buffer-bytes", float64(c.Limits.BufferBytes), 1},
		{"message-kinds.prefix", float64(p.kindsPrefix), 1},
	} {
		if !(n.value >= n.least) {
			return fmt.Errorf("--%s %v: use a number from %v on", n.flag, n.value, n.least)
		}
	}
	if p.kindsPrefix > messagekind.MaxPrefix {
		return fmt.Errorf("--message-kinds.prefix %d: use a number up to %d", p.kindsPrefix, messagekind.MaxPrefix)
	}
	if c.Forwarded == proxy.ForwardedAppend && len(c.Trusted) == 0 {
		return errors.New("--forwarded append: name the proxies whose word is taken, as --trusted-proxy 10.0.0.0/8, or leave it out")
	}
	if (c.ServerTLS.Cert == "") != (c.ServerTLS.Key == "") {
		return errors.New("--tls.cert and --tls.key: give both or neither")
	}
	return nil
}
