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

// flushTime is for both signals: their backends may be down.
const flushTime = 5 * time.Second

// telemetry is what leaves a command: metrics to be scraped, and metrics and
// traces by OTLP where the environment asks for them.
type telemetry struct {
	exp    *exporter.Exporter
	push   *otlp.Exporter
	logger *slog.Logger
}

// newTelemetry describes the process as service, unless the environment has
// another name for it. The options go on top of what every command has.
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

// Metrics serves what a scrape shows.
func (t *telemetry) Metrics() http.Handler { return t.exp.Handler() }

// Serve answers scrapes on l until ctx is done.
func (t *telemetry) Serve(ctx context.Context, l net.Listener) error { return t.exp.Serve(ctx, l) }

// close exports what is left, spans first and metrics last. A ctx that is done
// takes no time from it. A backend that is down is logged and no error: it says
// nothing of how the command did.
func (t *telemetry) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := otlp.Shutdown(ctx, t.push, t.exp); err != nil {
		t.logger.Warn("the last telemetry was not taken", "error", err)
	}
}
