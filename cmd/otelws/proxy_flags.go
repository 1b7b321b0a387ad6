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
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// proxyCommand holds the flags of the command.
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
	drain          drainFlags
	debugHosts     []string
	logConnections bool
	configFile     string

	flags *pflag.FlagSet // including the flags from the file
	given *pflag.FlagSet // without the flags from the file
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
			reloads := newReloader() // before the file is read, so that a SIGHUP after a change of the file is not lost
			defer reloads.stop()
			p, err := p.withFile(cmd.Flags())
			if err != nil {
				return err
			}
			return p.run(cmd.Context(), cmd.OutOrStdout(), global.logger(cmd.ErrOrStderr()), reloads)
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
	f.StringVar(&c.ServerTLS.Cert, "tls.cert", "", "PEM `file` with the certificate of the listener, read again when it changes")
	f.StringVar(&c.ServerTLS.Key, "tls.key", "", "PEM `file` with its key")
	f.StringVar(&c.Backend, "backend", "", "`URL` of the server: http, https, ws or wss, or unix:/path (required)")
	f.StringVar(&c.BackendTLS.CA, "backend.ca", "", "PEM `file` with the authorities of the backend's certificate, instead of the system's")
	f.StringVar(&c.BackendTLS.ServerName, "backend.server-name", "", "`name` in the backend's certificate, instead of the host of its URL")
	f.BoolVar(&c.BackendTLS.Insecure, "backend.insecure-skip-verify", false, "accept any certificate of the backend")
	f.StringVar(&c.Host, "backend.host", "", "`host` header for the backend, instead of the client's")
	f.DurationVar(&c.ConnectTimeout, "backend.connect-timeout", 5*time.Second, "time limit for connecting to the backend, 0 for none")
	f.DurationVar(&c.ResponseTimeout, "backend.response-timeout", time.Minute, "time limit for the head of a response, 0 for none")
	f.StringArrayVar(&c.Upgrades, "upgrade", nil, "name of a further `protocol` to tunnel, without metrics (repeatable)")
	f.Var(&c.Trusted, "trusted-proxy", "`network` of proxies in front of this one whose headers about clients are trusted (repeatable)")
	f.Var(&c.Forwarded, "forwarded", "X-Forwarded-For and similar headers: append for trusted proxies, replace for everybody, or off to\nleave them unchanged; auto is append for trusted proxies and replace for others")
	f.BoolVar(&c.TrustTraces, "trace.trust-clients", false, "continue the trace of any client, not only of a trusted proxy")
	f.IntVar(&l.Connections, "limit.connections", 0, "maximum `number` of clients' connections, 503 above; 0 for the limit of file descriptors less a reserve")
	f.IntVar(&l.ClientConnections, "limit.client-connections", 0, "maximum `number` of connections of one client, 429 above; 0 for no limit")
	f.IntVar(&l.IPv6Prefix, "limit.ipv6-prefix", 64, "`bits` of an IPv6 network that counts as one client")
	f.Float64Var(&l.Handshakes, "limit.handshakes", 0, "`number` of WebSocket handshakes a second, 503 above; 0 for no limit")
	f.Float64Var(&l.ClientHandshakes, "limit.client-handshakes", 0, "`number` of WebSocket handshakes a second of one client, 429 above; 0 for no limit")
	f.IntVar(&l.HeaderBytes, "limit.header-bytes", 64<<10, "maximum `bytes` of a request's head, 431 above")
	f.DurationVar(&l.HandshakeTime, "limit.handshake-time", 10*time.Second, "time for TLS and the first request of a connection, 408 after it")
	f.DurationVar(&l.Idle, "limit.idle", 0, "maximum time of a WebSocket without a byte, 0 for no limit")
	f.Int64Var(&l.BufferBytes, "limit.buffer-bytes", 64<<20, "total `bytes` of large buffers; further tunnels use small ones")
	f.IntVar(&l.SocketBytes, "limit.socket-bytes", 0, "`bytes` of the kernel's buffers for a slow client, 0 for the kernel's default")
	f.StringArrayVar(&p.routes, "route", nil, "path `pattern` to count connections by, such as /chat/{room}; others are counted as other (repeatable)")
	f.StringArrayVar(&p.subprotocols, "subprotocol", nil, "`name` of a subprotocol to count connections by (repeatable)")
	f.IntSliceVar(&p.closeCodes, "close-code", nil, "close `code` from 3000 to 4999 to count by itself (repeatable)")
	f.Var(&p.kinds, "message-kinds", "`reader` of message kinds to count, such as json:type=chat,typing or graphql-transport-ws;\nwithout it, no message is read")
	f.IntVar(&p.kindsPrefix, "message-kinds.prefix", messagekind.DefaultPrefix, "`bytes` at the beginning of a message to read for its kind")
	f.StringVar(&p.metrics, "metrics", exporter.DefaultListenAddress, "`address` of the metrics, /-/ready and /debug/ws")
	f.StringArrayVar(&p.debugHosts, "debug.host", nil, "`name` of this host; requests for it see /debug/ws with addresses, without authentication (repeatable)")
	f.StringVar(&p.webConfig, "web.config.file", "", "`file` with TLS and authentication for the metrics, as for Prometheus exporters")
	f.DurationVar(&p.heartbeats.clients, "heartbeat", 0, "`interval` of the pings to each client, 0 for none")
	f.DurationVar(&p.heartbeats.backend, "backend.heartbeat", 0, "`interval` of the pings to the backend, on each connection, 0 for none")
	f.DurationVar(&c.DrainTimeout, "drain.timeout", 25*time.Second, "time for connections to end after a signal; orchestrators usually kill after 30 s")
	f.DurationVar(&p.drain.spread, "drain.spread", 10*time.Second, "time over which the close frames are spread; by default at most half of --drain.timeout")
	f.IntVar(&p.drain.code, "drain.code", int(websocket.StatusServiceRestart), "close `code` for the clients: 1001, 1012, or from 3000 to 4999")
	f.BoolVar(&p.logConnections, "log.connections", false, "log each connection when it ends")
	f.StringVar(&p.configFile, "config.file", "", "YAML `file` with flags, such as limit.idle: 5m; SIGHUP reads it again")
}

// validate returns an error that names the invalid flag.
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
		return errors.New("--forwarded append: name the proxies to trust, such as --trusted-proxy 10.0.0.0/8, or leave --forwarded out")
	}
	if (c.ServerTLS.Cert == "") != (c.ServerTLS.Key == "") {
		return errors.New("--tls.cert and --tls.key: give both or neither")
	}
	return nil
}

// heartbeats are the intervals of the pings. 0 means none.
type heartbeats struct{ clients, backend time.Duration }

func (h heartbeats) options() (opts []otelws.Option) {
	if h.clients > 0 {
		opts = append(opts, otelws.WithHeartbeat(otelws.Every(h.clients), otelws.AcceptedOnly()))
	}
	if h.backend > 0 {
		opts = append(opts, otelws.WithHeartbeat(otelws.Every(h.backend), otelws.DialedOnly()))
	}
	return opts
}
