package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
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

WebSockets are tunnelled and nothing else is. A request for another protocol goes on as an ordinary
one, unless --upgrade names that protocol, which is then tunnelled blindly: nothing of it is in the
metrics. A handshake that is none, by its key, its version or for its body, is refused before the
backend sees it.

What a client says of itself does not pass as the proxy's word. The headers by which proxies tell of
a client (X-Forwarded-For, X-Real-IP, CF-Connecting-IP and many others, however they are spelt)
are dropped, and X-Forwarded-For, -Host and -Proto set anew, unless the connection comes from a
--trusted-proxy; a traceparent is a link of the handshake's span and not its parent. See
cmd/otelws/SECURITY.md in the sources for all of it.

The --limit flags bound what clients can take. Whoever is refused has a status that says so (429,
503, 431, 408), and is counted in otelws_proxy_refused_total by reason; tunnels that a limit or the
end of one side ends are in otelws_proxy_cut_total.

--heartbeat has the proxy ping the clients, and --backend.heartbeat the backend, between two frames
of theirs. ws_heartbeat_rtt_seconds is then there whatever either does, and who answers no two pings
in a row and gives no other sign of life is ended, which is counted as a 1006 by timeout. The pongs
go no further than the proxy. Pings, pongs and heartbeats of the two ends pass as ever.

--message-kinds counts messages by kind, in ws_messages_total and ws_messages_size_bytes_total.
The kind of a message is what its beginning says by the protocol that is named: the member of a JSON
object (json:type=chat,typing), a method of json-rpc, an event of socket.io or phoenix, and what
graphql-transport-ws, graphql-ws, engine.io, stomp, mqtt and signalr define themselves. Kinds that are
not named are counted as other, and messages that have none as none. Compressed messages are inflated
as far as it takes; where the two ends have negotiated context takeover, that is all of each message,
and 32 KiB of memory a direction.

The listener of the metrics has /-/healthy, and /-/ready, which is 503 while the backend takes no
connections and from the first signal on. The public listener has no path of its own.

On SIGTERM or Ctrl-C the proxy takes no more connections, and lets requests end. Every client gets a
close frame, 1012 (service restart) unless --drain.code says otherwise, one after the other over
--drain.spread, so that they do not all come back at once. A frame goes between two messages. The
client's answer passes on, and is how the backend learns of the end; backends whose client gives none
are told by the proxy, with the same code, a second after the last client. What is left after
--drain.timeout is cut off. Both are counted in ws_drain_connections_total, by outcome.

SIGHUP has the proxy read --config.file, certificates and authorities again, and ends nothing. The
file has names of flags without their hyphens, and values: limits (save those on the head and the
time of a handshake), trusted proxies, --forwarded, --upgrade, the drain, and the paths of
certificates. A flag is either given or in the file. What the file no longer has is as by default.
A file that is not usable changes nothing, and the log says why.

  limit.client-connections: 100
  trusted-proxy: [10.0.0.0/8, 192.168.0.0/16]

Metrics are pushed and traces exported by OTLP where the environment asks for it, by
OTEL_METRICS_EXPORTER=otlp, OTEL_TRACES_EXPORTER=otlp or an OTEL_EXPORTER_OTLP_ENDPOINT. A trace goes
on from the proxy to the backend, by the headers of the handshakes, and from a trusted client to the
proxy.`

func (p *proxyCommand) run(ctx context.Context, stdout io.Writer, logger *slog.Logger) (err error) {
	c := p.gatewayConfig()
	if c.Routes, err = proxy.NewRoutes(p.routes...); err != nil {
		return fmt.Errorf("--route: %w", err)
	}
	var ready lateHandler
	tel, err := newTelemetry(ctx, "otelws-proxy", p.webConfig, logger,
		exporter.WithReadiness(&ready), exporter.WithPageHosts(p.debugHosts...))
	if err != nil {
		return err
	}
	defer tel.close(ctx)
	var gateway *proxy.Proxy
	public := func(r *http.Request) bool { return !gateway.TrustsTrace(r) }
	if c.WebSockets, err = p.instrument(tel, public, logger); err != nil {
		return err
	}
	if err := tel.addDebugPage(c.WebSockets); err != nil {
		return err
	}
	c.Logger, c.MeterProvider = logger, tel.MeterProvider()
	if gateway, err = proxy.New(c); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	ready.set(gateway.ReadyHandler())

	front, err := listen("listen", p.listen)
	if err != nil {
		return err
	}
	defer front.Close()
	metrics, err := listen("metrics", p.metrics)
	if err != nil {
		return err
	}
	defer metrics.Close()
	for _, l := range []net.Listener{front, metrics} {
		if err := gateway.CheckLoop(ctx, l); err != nil {
			return fmt.Errorf("proxy: %w", err)
		}
	}
	defer logNetHTTP(logger)()
	current := p
	defer onReload(func() { current = current.reload(gateway, logger) }, logger)()
	defer p.announce(ctx, stdout, logger, gateway, front, metrics)()

	// The metrics end last, so that the drain can be watched.
	return runGroup(ctx,
		func(ctx context.Context) error { return tel.Serve(ctx, metrics) },
		func(ctx context.Context) error { return gateway.Serve(ctx, front) },
	)
}

// announce prints where the proxy serves. If the backend does not answer yet, it logs later that it does,
// until the caller calls stop.
func (p *proxyCommand) announce(ctx context.Context, stdout io.Writer, logger *slog.Logger, gateway *proxy.Proxy, public, metrics net.Listener) (stop func()) {
	scheme := "http"
	if p.config.ServerTLS.Cert != "" {
		scheme = "https"
	}
	fmt.Fprintf(stdout, "Proxy:   %s://%s to %s\n", scheme, reachable(public, p.listen), p.config.Backend)
	fmt.Fprintf(stdout, "Metrics: %s\n", metricsURL(metrics, p.metrics, p.webConfig))
	stop = func() {}
	if err := gateway.Ready(ctx); err != nil {
		stop = logWhenReady(ctx, gateway, logger.With("backend", secret.Hide(p.config.Backend)))
		fmt.Fprintf(stdout, "Backend: does not answer yet: %v\n", err)
	} else {
		fmt.Fprintln(stdout, "Backend: takes connections")
	}
	fmt.Fprintf(stdout, "Ctrl-C closes the connections within %v, and a second one ends it at once.\n", p.config.DrainTimeout)
	return stop
}

// logWhenReady logs once that the backend answers. The caller must call stop, which waits for the end.
func logWhenReady(ctx context.Context, gateway *proxy.Proxy, logger *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if gateway.Ready(ctx) == nil {
				logger.Info("the backend takes connections now")
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// gatewayConfig is what the flags say.
func (p *proxyCommand) gatewayConfig() proxy.Config {
	c := p.config
	c.Drain = p.drain.options()
	return c
}

func (p *proxyCommand) instrument(tel *telemetry, public func(*http.Request) bool, logger *slog.Logger) (*otelws.Instrumentation, error) {
	opts := []otelws.Option{
		otelws.WithMeterProvider(tel.MeterProvider()),
		otelws.WithTracerProvider(tel.TracerProvider()),
		otelws.WithPropagator(tel.Propagator()),
		otelws.WithPublicEndpoint(public),
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
	opts = append(opts, p.kinds.options(p.kindsPrefix)...)
	opts = append(opts, p.heartbeats.options()...)
	opts = append(opts, p.drain.closeCodes()...)
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
