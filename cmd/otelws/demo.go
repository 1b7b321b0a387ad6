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
)

const demoHelp = `Run an instrumented WebSocket server, and its metrics on a listener of their own.

It echoes on /echo and has a room on /room, where everybody receives what anybody sends. Its page
opens connections from the browser, sends messages, ends connections in several ways, and plots
the metrics as they come, with the PromQL of each plot. Whoever reaches --listen sees them there,
whatever --web.config.file asks for on --metrics.

With --clients it has visitors from the start: some chat, some vanish, some are slow, silent or
malformed, so that every series moves.

Metrics are pushed and traces exported by OTLP where the environment asks for it, by
OTEL_METRICS_EXPORTER=otlp, OTEL_TRACES_EXPORTER=otlp or an OTEL_EXPORTER_OTLP_ENDPOINT.`

// demo is the command's flags, and what its tests set besides.
type demo struct {
	listen    string
	metrics   string
	webConfig string
	heartbeat time.Duration
	clients   int

	pace time.Duration // of the simulated clients
}

func newDemoCommand(global *globalFlags) *cobra.Command {
	d := demo{pace: time.Second}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run an instrumented WebSocket server to look at",
		Long:  demoHelp,
		Args:  between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return d.run(cmd.Context(), cmd.OutOrStdout(), global.logger(cmd.ErrOrStderr()))
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.listen, "listen", "localhost:8080", "`address` of the WebSocket server")
	f.StringVar(&d.metrics, "metrics", exporter.DefaultListenAddress, "`address` of the metrics")
	f.StringVar(&d.webConfig, "web.config.file", "", "`file` with TLS and authentication for the metrics, as Prometheus exporters take it")
	f.DurationVar(&d.heartbeat, "heartbeat", 30*time.Second, "time from one ping to the next, 0 for none")
	f.IntVar(&d.clients, "clients", 0, "`number` of simulated clients")
	return cmd
}

func (d *demo) validate() error {
	if d.heartbeat < 0 {
		return fmt.Errorf("--heartbeat %v: use a positive duration, or 0 for none", d.heartbeat)
	}
	if d.clients < 0 {
		return fmt.Errorf("--clients %d: use a positive number, or 0 for none", d.clients)
	}
	return nil
}

func (d *demo) run(ctx context.Context, stdout io.Writer, logger *slog.Logger) error {
	if err := d.validate(); err != nil {
		return err
	}
	tel, err := newTelemetry(ctx, "otelws-demo", d.webConfig, logger)
	if err != nil {
		return err
	}
	defer tel.close(ctx)
	ws, err := d.instrument(tel, logger)
	if err != nil {
		return err
	}

	// Both before anything is started.
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
	fmt.Fprintf(stdout, "Page:       http://%s/\n", host)
	fmt.Fprintf(stdout, "WebSockets: ws://%[1]s/echo and ws://%[1]s/room\n", host)
	fmt.Fprintf(stdout, "Metrics:    %s\n", metricsURL)
	fmt.Fprintf(stdout, "Ctrl-C closes all connections with code 1001, and a second one ends it at once.\n")

	srv := newServer(ws, logger)
	clients := newSimulation(d.clients, "ws://"+host, d.pace, d.heartbeat, logger)
	defer clients.close()
	srv.http.Handler = newDemoHandler(ws, tel.Metrics(), clients, pageData{
		Metrics:   metricsURL,
		Heartbeat: d.heartbeat,
		EchoLimit: echoLimit,
		RoomLimit: roomLimit,
		Declared:  int(closeDeclared),
	})
	srv.http.ConnContext = limitSendBuffer
	// The metrics end last, so that the last scrape sees the closed connections.
	services := []service{
		func(ctx context.Context) error { return tel.Serve(ctx, metricsListener) },
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
		otelws.WithOnClose(otelws.LogClosed(logger)),
	}
	if d.heartbeat > 0 {
		opts = append(opts, otelws.WithHeartbeat(otelws.Every(d.heartbeat)))
	}
	return otelws.New(opts...)
}

// limitSendBuffer keeps the kernel from taking megabytes for a client that does
// not read: the demo shows a slow reader within seconds.
func limitSendBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(32 << 10)
	}
	return ctx
}
