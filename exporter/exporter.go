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

// Exporter owns a Prometheus registry, a MeterProvider that is read through it, and the handler
// that serves it. Its methods are safe for concurrent use. Neither the global registry nor the
// global MeterProvider is touched.
type Exporter struct {
	cfg      config
	sdk      *sdkmetric.MeterProvider
	provider metric.MeterProvider     // sdk, with counted histograms
	front    *sdkmetric.MeterProvider // of the scrape
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
	// Before any other collector: promhttp panics on a name that is taken.
	handler, err := newHandler(&gatherer{collected: collected, instruments: instruments, translator: translator}, collected, cfg, res)
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
			return nil, fmt.Errorf("failed to register collector %T, give each name to one collector: %w", c, err)
		}
	}
	// Last, since they may have begun to work.
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
	return &Exporter{cfg: cfg, sdk: sdk, front: front, provider: histograms.Wrap(sdk), handler: handler}, nil
}

// exponential selects the exponential histograms that the OTLP exporters have by
// base2_exponential_bucket_histogram.
func exponential(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if k == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
	}
	return sdkmetric.DefaultAggregationSelector(k)
}

// newFront returns a MeterProvider without instruments, whose Prometheus reader collects what the translator has.
func newFront(reg prometheus.Registerer, res *resource.Resource, t *translator) (*sdkmetric.MeterProvider, error) {
	reader, err := otelprometheus.New(
		otelprometheus.WithRegisterer(reg),
		otelprometheus.WithTranslationStrategy(translation),
		otelprometheus.WithoutScopeInfo(), // the translator has it where it is wanted
		otelprometheus.WithProducer(t),
	)
	if err != nil {
		return nil, fmt.Errorf("failed to create the Prometheus reader: %w", err)
	}
	// An attribute that cannot be a label would cost target_info all of them.
	labels := labelsOf(*res.Set(), nil)
	return sdkmetric.NewMeterProvider(sdkmetric.WithResource(resource.NewSchemaless(labels.ToSlice()...)), sdkmetric.WithReader(reader)), nil
}

// MeterProvider returns the provider whose instruments a scrape shows. It belongs to the Exporter;
// end it with [Exporter.Shutdown].
func (e *Exporter) MeterProvider() metric.MeterProvider { return e.provider }

// Handler returns the handler that [Exporter.ListenAndServe] serves, for a server of the caller's
// own: /metrics, /-/healthy, what [WithReadiness] and [WithPage] add, and a page that links to them on
// exactly /; 404 for every other path, 405 for methods other than GET and HEAD. The scrape timeout and the limit of concurrent scrapes
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
		if err := errors.Join(e.sdk.Shutdown(ctx), e.front.Shutdown(ctx)); err != nil {
			e.shutdownErr = fmt.Errorf("failed to shut down the MeterProvider: %w", err)
		}
	})
	return e.shutdownErr
}
