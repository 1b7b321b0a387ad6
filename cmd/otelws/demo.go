package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

const demoHelp = `Run a WebSocket server with metrics, and a page to try it.

The server echoes messages on /echo. On /room, every member receives every
message. The page opens connections, sends messages, ends connections in several
ways, and plots the metrics, each with its PromQL.

Prometheus scrapes the address of --metrics, where /debug/ws shows the open
connections. The page also shows the metrics to everybody who can reach
--listen, even if --web.config.file protects --metrics.

--clients simulates clients from the start. Some of them chat. Others vanish,
read slowly, stay silent or send invalid frames, so that every series moves.

OTLP is off by default. The standard variables turn it on, such as
OTEL_EXPORTER_OTLP_ENDPOINT.`

// demo has the command's flags, and settings of its tests.
// maxClients is the maximum number of simulated clients. Far more would use up the memory before a
// signal could end the demo.
const maxClients = 100_000

type demo struct {
	listen    string
	metrics   string
	webConfig string
	heartbeat time.Duration
	clients   int

	logConnections bool

	pace time.Duration // of the simulated clients
}

func newDemoCommand(global *globalFlags) *cobra.Command {
	d := demo{pace: time.Second}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a WebSocket server with metrics, and a page to try it",
		Long:  demoHelp,
		Example: `  otelws demo
  otelws demo --clients 20 --heartbeat 5s
  otelws demo --listen :8080 --metrics :9091`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Quiet by default, so that the address stays visible.
			if !d.logConnections && !cmd.Flags().Changed("log.level") {
				global.logLevel = slog.LevelWarn
			}
			return d.run(cmd.Context(), cmd.OutOrStdout(), global.logger(cmd.ErrOrStderr()))
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&d.clients, "clients", 0, "`number` of simulated clients")
	f.StringVar(&d.listen, "listen", "localhost:8080", "`address` of the WebSocket server")
	f.StringVar(&d.metrics, "metrics", exporter.DefaultListenAddress, "`address` of the metrics")
	f.DurationVar(&d.heartbeat, "heartbeat", 30*time.Second, "`interval` of the pings, 0 for none")
	f.BoolVar(&d.logConnections, "log.connections", false, "log each connection when it ends")
	f.StringVar(&d.webConfig, "web.config.file", "", "`file` with TLS and authentication for the metrics, as for Prometheus exporters")
	return cmd
}

func (d *demo) validate() error {
	if d.heartbeat < 0 {
		return fmt.Errorf("--heartbeat %v: use a positive duration, or 0 for none", d.heartbeat)
	}
	if d.clients < 0 || d.clients > maxClients {
		return fmt.Errorf("--clients %d: use a number up to %d, or 0 for none", d.clients, maxClients)
	}
	return nil
}

func (d *demo) run(ctx context.Context, stdout io.Writer, logger *slog.Logger) error {
	if err := d.validate(); err != nil {
		return err
	}
	surviveBrokenPipes()
	tel, err := newTelemetry(ctx, "otelws-demo", d.webConfig, logger)
	if err != nil {
		return err
	}
	defer tel.close(ctx)
	ws, err := d.instrument(tel, logger)
	if err != nil {
		return err
	}
	if err := tel.addDebugPage(ws); err != nil {
		return err
	}

	// Listen on both before anything starts.
	wsListener, err := listen("listen", d.listen)
	if err != nil {
		return err
	}
	defer wsListener.Close()
	metricsListener, err := listen("metrics", d.metrics)
	if err != nil {
		return err
	}
	defer metricsListener.Close()

	host, metricsURL := reachable(wsListener, d.listen), metricsURL(metricsListener, d.metrics, d.webConfig)
	fmt.Fprintf(stdout, "Ctrl-C closes all connections with code 1001. A second Ctrl-C ends the demo at once.\n\n")
	fmt.Fprintf(stdout, "WebSockets  ws://%[1]s/echo and ws://%[1]s/room\n", host)
	fmt.Fprintf(stdout, "Metrics     %s\n", metricsURL)
	fmt.Fprintf(stdout, "Page        http://%s/\n", host)

	srv := newServer(ws, logger)
	clients := newSimulation(d.clients, "ws://"+host, d.pace, d.heartbeat, logger)
	defer clients.close()
	past := newHistory(tel.Metrics(), logger, "ws_connections_active", "ws_connections_opened_total", "ws_connections_closed_total",
		"ws_connection_duration_seconds", "ws_message_bytes", "ws_messages_total", "ws_heartbeat_rtt_seconds")
	srv.http.Handler = newDemoHandler(ws, past, clients, pageData{
		Metrics:   metricsURL,
		Heartbeat: d.heartbeat,
		EchoLimit: echoLimit,
		RoomLimit: roomLimit,
		Declared:  int(closeDeclared),
	})
	srv.http.ConnContext = limitSendBuffer
	// The metrics end last: the last scrape sees the closed connections.
	services := []service{
		func(ctx context.Context) error { return tel.Serve(ctx, metricsListener) },
		past.run,
		func(ctx context.Context) error { return srv.serve(ctx, wsListener) },
	}
	if d.clients > 0 {
		services = append(services, clients.run)
	}
	return runGroup(ctx, services...)
}

func (d *demo) instrument(tel *telemetry, logger *slog.Logger) (*otelws.Instrumentation, error) {
	opts := []otelws.Option{
		otelws.WithMeterProvider(tel.MeterProvider()),
		otelws.WithTracerProvider(tel.TracerProvider()),
		otelws.WithPropagator(tel.Propagator()),
		otelws.WithTraceContextFromQuery(),
		otelws.WithRoutes("/echo", "/room"),
		otelws.WithCloseCodes(closeDeclared),
		otelws.WithMessageKinds(messagekind.JSONMember("type"), roomKinds...),
	}
	if d.logConnections {
		opts = append(opts, otelws.WithOnClose(otelws.LogClosed(logger)))
	}
	if d.heartbeat > 0 {
		opts = append(opts, otelws.WithHeartbeat(otelws.Every(d.heartbeat)))
	}
	return otelws.New(opts...)
}

// limitSendBuffer limits the data that the kernel buffers for a client that does not read, so that
// the demo shows a slow reader within seconds.
func limitSendBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(32 << 10)
	}
	return ctx
}
