package exporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/otlptranslator"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelws/otelws-go/exporter/internal/histogram"
)

// Exporter owns a Prometheus registry, a MeterProvider that is read through it, and the handler
// that serves it. Its methods are safe for concurrent use. Neither the global registry nor the
// global MeterProvider is touched.
type Exporter struct {
	cfg      config
	provider *meterProvider
	handler  http.Handler
	reserve  reserve

	shutdownOnce sync.Once
	shutdownErr  error
}

// New returns an Exporter that is ready to record and to be scraped. It listens nowhere and starts
// no goroutine but those of the readers that [WithReader] makes. An error says in one line which option
// is wrong; the collectors that were passed then still belong to the caller, and readers that were made
// are shut down.
func New(opts ...Option) (*Exporter, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	res, err := mergeResource(cfg.resource)
	if err != nil {
		return nil, err
	}
	// A scrape is all of reg; what a producer gives is the part without the MeterProvider.
	reg, collected := prometheus.NewRegistry(), prometheus.NewRegistry()
	both := registerers{reg}
	if len(cfg.readers) > 0 {
		both = append(both, collected)
	}
	// Before any other collector: promhttp panics on a name that is taken.
	handler, err := newHandler(reg, both, cfg, res)
	if err != nil {
		return nil, err
	}
	if cfg.runtimeMetrics {
		if err := registerRuntime(both); err != nil {
			return nil, err
		}
	}
	for _, c := range cfg.collectors {
		if err := both.Register(c); err != nil {
			return nil, fmt.Errorf("failed to register collector %T, give each name to one collector: %w", c, err)
		}
	}
	histograms := new(histogram.Registry)
	reader, err := newReader(reg, cfg.scopeLabels, histograms.Producer(metricdata.CumulativeTemporality))
	if err != nil {
		return nil, err
	}
	// Last, since they may have begun to work.
	readers, err := newReaders(cfg.readers, newProducerFunc(collected, histograms, cfg.logger))
	if err != nil {
		return nil, err
	}

	sdkOpts := []sdkmetric.Option{
		sdkmetric.WithResource(res),
		sdkmetric.WithView(cfg.views...),
		sdkmetric.WithReader(reader),
	}
	for _, r := range readers {
		sdkOpts = append(sdkOpts, sdkmetric.WithReader(r))
	}
	return &Exporter{
		cfg: cfg,
		provider: &meterProvider{
			MeterProvider: sdkmetric.NewMeterProvider(sdkOpts...),
			histograms:    histograms,
			views:         cfg.views,
			exact:         histograms.Producers() == 1+len(readers) && standardHistograms(),
		},
		handler: handler,
	}, nil
}

func newReader(reg prometheus.Registerer, scopeLabels bool, histograms sdkmetric.Producer) (sdkmetric.Reader, error) {
	opts := []otelprometheus.Option{
		otelprometheus.WithRegisterer(reg),
		// Pinned, so that names depend neither on the scraper nor on a global of another library.
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		otelprometheus.WithProducer(histograms),
	}
	if !scopeLabels {
		opts = append(opts, otelprometheus.WithoutScopeInfo())
	}
	reader, err := otelprometheus.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("failed to create the Prometheus reader: %w", err)
	}
	return reader, nil
}

// mergeResource lays the caller's resource over the default one, which has the OTEL_SERVICE_NAME
// and OTEL_RESOURCE_ATTRIBUTES of the environment.
func mergeResource(res *resource.Resource) (*resource.Resource, error) {
	merged, err := resource.Merge(resource.Default(), res)
	// The merge is whole without its schema URL, and Prometheus has no place for one.
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, fmt.Errorf("failed to merge the resource: %w", err)
	}
	return merged, nil
}

// MeterProvider returns the provider whose instruments a scrape shows. It belongs to the Exporter;
// end it with [Exporter.Shutdown].
func (e *Exporter) MeterProvider() metric.MeterProvider { return e.provider }

// Handler returns the handler that [Exporter.ListenAndServe] serves, for a server of the caller's
// own: /metrics, /-/healthy and a page that links to them on exactly /; 404 for every other path,
// 405 for methods other than GET and HEAD. The scrape timeout and the limit of concurrent scrapes
// are part of it and shared by all servers of one Exporter; limits on connections and headers, TLS
// and authentication are the server's.
func (e *Exporter) Handler() http.Handler { return e.handler }

// Shutdown flushes and shuts down the MeterProvider and with it the readers of [WithReader],
// within ctx. Instruments record nothing afterwards; a scrape still shows what does not come from
// the MeterProvider. It stops no listener: that is the context of [Exporter.ListenAndServe], whose
// return is best awaited first, so that the last scrape is a whole one. Later calls do nothing and
// return the first one's error.
func (e *Exporter) Shutdown(ctx context.Context) error {
	e.shutdownOnce.Do(func() {
		if err := e.provider.Shutdown(ctx); err != nil {
			e.shutdownErr = fmt.Errorf("failed to shut down the MeterProvider: %w", err)
		}
	})
	return e.shutdownErr
}
