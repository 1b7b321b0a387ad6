package exporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelws/otelws-go/exporter/counted"
	"github.com/otelws/otelws-go/exporter/internal/identity"
)

// Exporter owns a MeterProvider, a Prometheus registry that reads it, and an HTTP handler that
// serves the registry. Its methods are safe for concurrent use. It does not touch the global
// registry or the global MeterProvider.
type Exporter struct {
	cfg      config
	sdk      *sdkmetric.MeterProvider
	provider metric.MeterProvider     // wraps sdk, and accepts counted histograms
	front    *sdkmetric.MeterProvider // collects for the scrape
	router   *router
	reserve  reserve

	shutdownOnce sync.Once
	shutdownErr  error
}

// New returns an Exporter that is ready to record and to be scraped. It opens no listener. It
// starts no goroutines itself; readers that [WithReader] makes may start some.
//
// If an option is wrong, New returns an error of one line that names it. The caller then still owns
// the collectors that it passed. Readers that New had already made are shut down.
func New(opts ...Option) (*Exporter, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	res, err := identity.Resource(cfg.resource)
	if err != nil {
		return nil, err
	}
	histograms := counted.New()
	scrapedOpts := []sdkmetric.ManualReaderOption{sdkmetric.WithProducer(histograms.Producer(sdkmetric.DefaultTemporalitySelector))}
	if cfg.native {
		scrapedOpts = append(scrapedOpts, sdkmetric.WithAggregationSelector(exponential))
	}
	scraped := sdkmetric.NewManualReader(scrapedOpts...)
	translator := newTranslator(scraped, cfg.scopeLabels, cfg.logger)
	collected, instruments := prometheus.NewRegistry(), prometheus.NewRegistry()
	front, err := newFront(instruments, res, translator)
	if err != nil {
		return nil, err
	}
	// This comes before all other collectors, because promhttp panics if its names are taken.
	router, err := newRouter(&gatherer{collected: collected, instruments: instruments, translator: translator}, collected, cfg, res)
	if err != nil {
		return nil, err
	}
	if cfg.runtimeMetrics {
		if err := registerRuntime(collected); err != nil {
			return nil, err
		}
	}
	for _, c := range cfg.collectors {
		if err := collected.Register(c); err != nil {
			return nil, fmt.Errorf("failed to register collector %T, give each name to one collector, and use WithoutRuntimeMetrics if it has metrics of the runtime or the process: %w", c, err)
		}
	}
	// The readers come last, because they may start to work at once.
	readers, err := newReaders(cfg.readers, newProducerFunc(collected, histograms, cfg.logger))
	if err != nil {
		return nil, err
	}

	sdkOpts := []sdkmetric.Option{
		sdkmetric.WithResource(res),
		sdkmetric.WithView(cfg.views...),
		sdkmetric.WithReader(scraped),
	}
	if cfg.cardinality != nil {
		sdkOpts = append(sdkOpts, sdkmetric.WithCardinalityLimit(*cfg.cardinality))
	}
	for _, r := range readers {
		sdkOpts = append(sdkOpts, sdkmetric.WithReader(r))
	}
	sdk := sdkmetric.NewMeterProvider(sdkOpts...)
	return &Exporter{cfg: cfg, sdk: sdk, front: front, provider: histograms.Wrap(sdk), router: router}, nil
}

// exponential selects the same exponential histograms as the OTLP exporters do for
// base2_exponential_bucket_histogram.
func exponential(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if k == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
	}
	return sdkmetric.DefaultAggregationSelector(k)
}

// newFront returns a MeterProvider without instruments. Its Prometheus reader collects the metrics
// of the translator.
func newFront(reg prometheus.Registerer, res *resource.Resource, t *translator) (*sdkmetric.MeterProvider, error) {
	reader, err := otelprometheus.New(
		otelprometheus.WithRegisterer(reg),
		otelprometheus.WithTranslationStrategy(translation),
		otelprometheus.WithoutScopeInfo(), // the translator adds the labels where they are needed
		otelprometheus.WithProducer(t),
	)
	if err != nil {
		return nil, fmt.Errorf("failed to create the Prometheus reader: %w", err)
	}
	// An attribute that cannot be a label would cost target_info all of them.
	labels := labelsOf(*res.Set(), nil)
	return sdkmetric.NewMeterProvider(sdkmetric.WithResource(resource.NewSchemaless(labels.ToSlice()...)), sdkmetric.WithReader(reader)), nil
}

// MeterProvider returns the provider of the metrics in a scrape. The Exporter owns it: call
// [Exporter.Shutdown] to shut it down.
func (e *Exporter) MeterProvider() metric.MeterProvider { return e.provider }

// Handler returns the handler that [Exporter.ListenAndServe] serves, for use in the caller's own
// server. It serves:
//
//   - /metrics, the scrape;
//   - /-/healthy, which always answers 200;
//   - /-/ready, if [WithReadiness] is given;
//   - the paths of [WithPage] and [Exporter.AddPage];
//   - /, a page with links to the others.
//
// It answers 404 for every other path, and 405 for methods other than GET and HEAD. All servers of
// one Exporter share the scrape timeout and the limit of concurrent scrapes. The caller's server is
// responsible for TLS, authentication, and limits on connections and headers.
func (e *Exporter) Handler() http.Handler { return e.router }

// Shutdown flushes and shuts down the MeterProvider and the readers of [WithReader], within ctx.
// Afterwards the instruments record nothing, and a scrape shows only the metrics of the runtime and
// of the collectors.
//
// Shutdown closes no listener. To stop serving, cancel the context of [Exporter.ListenAndServe].
// Wait for its return before Shutdown, so that the last scrape is complete. Later calls do nothing
// and return the error of the first call.
func (e *Exporter) Shutdown(ctx context.Context) error {
	e.shutdownOnce.Do(func() {
		if err := errors.Join(e.sdk.Shutdown(ctx), e.front.Shutdown(ctx)); err != nil {
			e.shutdownErr = fmt.Errorf("failed to shut down the MeterProvider: %w", err)
		}
	})
	return e.shutdownErr
}
