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

Bytes pass unchanged. The two ends negotiate extensions and subprotocols. The headers Host, Origin
and Authorization reach the backend unchanged. Plain HTTP passes, too, including streams. Clients may
use HTTP/1.1 or, for plain requests over TLS, HTTP/2. The backend gets HTTP/1.1. Series such as
ws_connections_active describe the connections of the clients. Series with the prefix ws_client_
describe the connections to the backend.

If the backend is down or sends no valid response, the client gets 502. If it is too slow, the client
gets 504. ws_handshake_duration_seconds has both by status, and the log has the reason. Every valid
response is passed on, whatever its status.

The proxy tunnels only WebSockets. It sends a request for another protocol as an ordinary request,
unless --upgrade names the protocol. Then it tunnels the protocol, without metrics. It refuses a
handshake with an invalid key, an invalid version or a body; the backend does not see it.

A client cannot forge its description. The proxy drops the headers with which proxies describe a client
(X-Forwarded-For, X-Real-IP, CF-Connecting-IP and many others, in any spelling), and sets
X-Forwarded-For, -Host and -Proto itself, unless the connection comes from a --trusted-proxy. A
traceparent becomes a link of the handshake's span, not its parent. For the details, see
cmd/otelws/SECURITY.md in the sources.

The --limit flags limit what clients can use. A refused client gets a status that says why (429, 503,
431, 408), and is counted in otelws_proxy_refused_total by reason. Tunnels that end by a limit, or
because one side ended, are counted in otelws_proxy_cut_total.

With --heartbeat, the proxy pings the clients; with --backend.heartbeat, the backend. It sends the
pings between two frames of the other side, and the pongs stay in the proxy.
ws_heartbeat_rtt_seconds has their round-trip times. If an end leaves two pings in a row unanswered,
and shows no other sign of life, the proxy ends the connection, which counts as 1006 by timeout. Pings,
pongs and heartbeats of the two ends pass unchanged.

--message-kinds counts messages by kind, in ws_messages_total and ws_messages_size_bytes_total. The
kind comes from the beginning of the message. Its protocol is the member of a JSON object
(json:type=chat,typing), a method of json-rpc, an event of socket.io or phoenix, or a message type of
graphql-transport-ws, graphql-ws, engine.io, stomp, mqtt or signalr. Kinds that are not declared are
counted as other, and messages without a kind as none. Compressed messages are decompressed as far as
necessary. If the two ends negotiated context takeover, this means each message completely, and 32 KiB
of memory for each direction.

The listener of the metrics serves /-/healthy and /-/ready. /-/ready answers 503 while the backend
accepts no connections, and after the first signal. The public listener has no paths of its own.

After SIGTERM or Ctrl-C, the proxy accepts no more connections, and lets requests end. Every client
gets a close frame, one after the other over the time of --drain.spread, so that they do not all
reconnect at once. Its code is 1012 (service restart), or --drain.code. The frame is sent between two
messages. The client's answer goes to the backend, which thus learns of the end. If a client does not
answer, the proxy sends the same code to the backend, a second after the last client got its close
frame. After --drain.timeout, the remaining connections are cut. ws_drain_connections_total counts
both, by outcome.

On SIGHUP, the proxy reads --config.file, certificates and authorities again. No connection ends. The
file has the names of flags without their hyphens, and their values. It may have limits (except those
for the head and the time of a handshake), trusted proxies, --forwarded, --upgrade, the drain, and the
paths of certificates. Each flag may be given on the command line or in the file, not in both. A flag
that was removed from the file gets its default. If the file is invalid, nothing changes, and the log
says why.

  limit.client-connections: 100
  trusted-proxy: [10.0.0.0/8, 192.168.0.0/16]

If OTEL_METRICS_EXPORTER=otlp, OTEL_TRACES_EXPORTER=otlp or an OTEL_EXPORTER_OTLP_ENDPOINT is set, the
proxy exports metrics and traces by OTLP. A trace continues from the proxy to the backend in the headers
of the handshake, and from a trusted client to the proxy.`

func (p *proxyCommand) run(ctx context.Context, stdout io.Writer, logger *slog.Logger, reloads *reloader) (err error) {
	surviveBrokenPipes()
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
	reloads.start(func() { current = current.reload(gateway, logger) }, logger)
	defer p.announce(ctx, stdout, logger, gateway, front, metrics)()

	// Stop the metrics last, so that they show the drain.
	return runGroup(ctx,
		func(ctx context.Context) error { return tel.Serve(ctx, metrics) },
		func(ctx context.Context) error { return gateway.Serve(ctx, front) },
	)
}

// announce prints the addresses of the proxy. If the backend does not accept
// connections yet, announce logs when it does, until the caller calls stop.
func (p *proxyCommand) announce(ctx context.Context, stdout io.Writer, logger *slog.Logger, gateway *proxy.Proxy, front, metrics net.Listener) (stop func()) {
	scheme := "http"
	if p.config.ServerTLS.Cert != "" {
		scheme = "https"
	}
	fmt.Fprintf(stdout, "Proxy:   %s://%s to %s\n", scheme, reachable(front, p.listen), p.config.Backend)
	fmt.Fprintf(stdout, "Metrics: %s\n", metricsURL(metrics, p.metrics, p.webConfig))
	stop = func() {}
	if err := gateway.Ready(ctx); err != nil {
		stop = logWhenReady(ctx, gateway, logger.With("backend", secret.Hide(p.config.Backend)))
		fmt.Fprintf(stdout, "Backend: does not answer yet: %v\n", err)
	} else {
		fmt.Fprintln(stdout, "Backend: accepts connections")
	}
	fmt.Fprintf(stdout, "Ctrl-C closes the connections within %v, and a second one ends it at once.\n", p.config.DrainTimeout)
	return stop
}

// logWhenReady logs once when the backend accepts connections. The caller must call
// stop, which waits for the goroutine.
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
				logger.Info("the backend accepts connections now")
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// gatewayConfig returns the configuration from the flags.
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
			if !s.Client { // avoids a second line for the backend's side
				closed(ctx, s)
			}
		}))
	}
	return otelws.New(opts...)
}
