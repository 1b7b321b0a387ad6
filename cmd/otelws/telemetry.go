package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/otlp"
)

// flushTime is the time limit of the last export. The backend may be down.
const flushTime = 5 * time.Second

// telemetry serves the metrics of a command to scrapers. It also exports metrics and traces by OTLP,
// if the environment asks for that.
type telemetry struct {
	exp    *exporter.Exporter
	push   *otlp.Exporter
	logger *slog.Logger
}

// newTelemetry uses service as the service name, unless the environment sets another one. opts come
// after the options that all commands have.
func newTelemetry(ctx context.Context, service, webConfig string, logger *slog.Logger, opts ...exporter.Option) (*telemetry, error) {
	res, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", service),
			attribute.String("service.version", version()),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("failed to read the resource from the environment: %w", err)
	}
	push, err := otlp.New(ctx, otlp.WithResource(res), otlp.WithLogger(logger))
	if err != nil {
		return nil, err
	}
	common := append(push.ExporterOptions(), exporter.WithWebConfigFile(webConfig), exporter.WithLogger(logger))
	exp, err := exporter.New(append(common, opts...)...)
	if err != nil {
		if webConfig != "" {
			err = fmt.Errorf("--web.config.file: %w", err)
		}
		return nil, errors.Join(err, push.Shutdown(ctx))
	}
	otel.SetErrorHandler(exporter.ErrorHandler(logger))
	return &telemetry{exp, push, logger}, nil
}

func (t *telemetry) MeterProvider() metric.MeterProvider { return t.exp.MeterProvider() }

func (t *telemetry) TracerProvider() trace.TracerProvider { return t.push.TracerProvider() }

func (t *telemetry) Propagator() propagation.TextMapPropagator { return t.push.Propagator() }

// Metrics returns the handler of a scrape.
func (t *telemetry) Metrics() http.Handler { return t.exp.Handler() }

// Serve serves scrapes on l until ctx is done.
func (t *telemetry) Serve(ctx context.Context, l net.Listener) error { return t.exp.Serve(ctx, l) }

// close exports the remaining data, spans first and metrics last, even if ctx is done. If the backend
// is down, it only logs this, because the command has done its work.
func (t *telemetry) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := otlp.Shutdown(ctx, t.push, t.exp); err != nil {
		t.logger.Warn("failed to export the last telemetry", "error", err)
	}
}
