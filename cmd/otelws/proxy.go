package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

const proxyHelp = `Run a proxy in front of any WebSocket server, and watch its connections.

Bytes pass untouched: extensions and subprotocols are negotiated by the two ends, Host, Origin and
Authorization reach the backend as they came, and plain HTTP is passed through as well, streams
included. Clients may use HTTP/1.1 or, for plain requests over TLS, HTTP/2; the backend is spoken
to in HTTP/1.1. Series without a prefix (ws_connections_active) are of the clients' connections,
those of ws_client_ of the connections to the backend.

A backend that is down or answers nonsense is a 502, one that is late a 504; both are in
ws_handshake_duration_seconds by status, and the reason is in the log. An answer in proper HTTP is
passed on, whatever its status.

The listener of the metrics has /-/healthy, and /-/ready, which is 503 while the backend takes no
connections and from the first signal on. The public listener has no path of its own.

On SIGTERM or Ctrl-C the proxy takes no more connections, and waits for those there are, until
--drain.timeout has passed. A proxy cannot put a close frame into the stream of another: let the
backend send its own, as it does when it is stopped at the same time. What is left at the end is
cut off, which is counted as a 1006 by this side.

Metrics are pushed and traces exported by OTLP where the environment asks for it, by
OTEL_METRICS_EXPORTER=otlp, OTEL_TRACES_EXPORTER=otlp or an OTEL_EXPORTER_OTLP_ENDPOINT. A trace goes
on from the client through the proxy to the backend, by the headers of the handshakes.`

// proxyCommand is the command's flags.
type proxyCommand struct {
	listen         string
	metrics        string
	webConfig      string
	config         proxy.Config
	routes         []string
	subprotocols   []string
	closeCodes     []int
	logConnections bool
}

func newProxyCommand(global *globalFlags) *cobra.Command {
	var p proxyCommand
	cmd := &cobra.Command{
		Use:   "proxy --backend URL",
		Short: "Watch the connections of any WebSocket server, as a proxy in front of it",
		Example: `  otelws proxy --backend http://localhost:3000 --route '/chat/{room}' --route /feed
  otelws proxy --listen :443 --tls.cert tls.crt --tls.key tls.key --forwarded replace --backend unix:/run/app.sock`,
		Long: proxyHelp,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.run(cmd.Context(), cmd.OutOrStdout(), global.logger(cmd.ErrOrStderr()))
		},
	}
	f, c := cmd.Flags(), &p.config
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
	f.Var(&c.Forwarded, "forwarded", "X-Forwarded headers: append to them, replace what clients sent, or off")
	f.StringArrayVar(&p.routes, "route", nil, "path `pattern` to count connections by, such as /chat/{room}; others are counted as other (repeatable)")
	f.StringArrayVar(&p.subprotocols, "subprotocol", nil, "`name` of a subprotocol to count connections by (repeatable)")
	f.IntSliceVar(&p.closeCodes, "close-code", nil, "close `code` from 3000 to 4999 to count by itself (repeatable)")
	f.StringVar(&p.metrics, "metrics", exporter.DefaultListenAddress, "`address` of the metrics and /-/ready")
	f.StringVar(&p.webConfig, "web.config.file", "", "`file` with TLS and authentication for the metrics, as Prometheus exporters take it")
	f.DurationVar(&c.DrainTimeout, "drain.timeout", 25*time.Second, "time for connections to end after a signal; orchestrators kill after 30 s as a rule")
	f.BoolVar(&p.logConnections, "log.connections", false, "log each connection when it has ended")
	return cmd
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
	} {
		if d.value < 0 {
			return fmt.Errorf("--%s %v: use a positive duration, or 0", d.flag, d.value)
		}
	}
	if c.Backend == "" {
		return errors.New("--backend is missing: give the URL of the server, such as http://localhost:3000")
	}
	if (c.ServerTLS.Cert == "") != (c.ServerTLS.Key == "") {
		return errors.New("--tls.cert and --tls.key: give both or neither")
	}
	return nil
}

func (p *proxyCommand) run(ctx context.Context, stdout io.Writer, logger *slog.Logger) (err error) {
	if err := p.validate(); err != nil {
		return err
	}
	c := p.config
	if c.Routes, err = proxy.NewRoutes(p.routes...); err != nil {
		return fmt.Errorf("--route: %w", err)
	}
	var ready readiness
	tel, err := newTelemetry(ctx, "otelws-proxy", p.webConfig, logger, exporter.WithReadiness(&ready))
	if err != nil {
		return err
	}
	defer tel.close(ctx)
	if c.WebSockets, err = p.instrument(tel, logger); err != nil {
		return err
	}
	c.Logger = logger
	gateway, err := proxy.New(c)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	ready.set(gateway.ReadyHandler())

	public, err := listen("listen", p.listen)
	if err != nil {
		return err
	}
	defer public.Close()
	metrics, err := listen("metrics", p.metrics)
	if err != nil {
		return err
	}
	defer metrics.Close()
	p.announce(stdout, public, metrics)

	// The metrics end last, so that the drain can be watched.
	return runGroup(ctx,
		func(ctx context.Context) error { return tel.Serve(ctx, metrics) },
		func(ctx context.Context) error { return gateway.Serve(ctx, public) },
	)
}

func (p *proxyCommand) announce(stdout io.Writer, public, metrics net.Listener) {
	scheme := "http"
	if p.config.ServerTLS.Cert != "" {
		scheme = "https"
	}
	fmt.Fprintf(stdout, "Proxy:   %s://%s to %s\n", scheme, reachable(public, p.listen), p.config.Backend)
	fmt.Fprintf(stdout, "Metrics: %s\n", metricsURL(metrics, p.metrics, p.webConfig))
	fmt.Fprintf(stdout, "Ctrl-C lets connections end within %v, and a second one ends it at once.\n", p.config.DrainTimeout)
}

func (p *proxyCommand) instrument(tel *telemetry, logger *slog.Logger) (*otelws.Instrumentation, error) {
	opts := []otelws.Option{
		otelws.WithMeterProvider(tel.MeterProvider()),
		otelws.WithTracerProvider(tel.TracerProvider()),
		otelws.WithPropagator(tel.Propagator()),
	}
	if len(p.routes) > 0 {
		opts = append(opts, otelws.WithRoutes(p.routes...))
	}
	if len(p.subprotocols) > 0 {
		opts = append(opts, otelws.WithSubprotocols(p.subprotocols...))
	}
	for _, code := range p.closeCodes {
		opts = append(opts, otelws.WithCloseCodes(websocket.StatusCode(code)))
	}
	if p.logConnections {
		closed := otelws.LogClosed(logger)
		opts = append(opts, otelws.WithOnClose(func(ctx context.Context, s otelws.Summary) {
			if !s.Client { // else twice
				closed(ctx, s)
			}
		}))
	}
	return otelws.New(opts...)
}
