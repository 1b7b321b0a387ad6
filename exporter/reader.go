package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	prometheusbridge "go.opentelemetry.io/contrib/bridges/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter/internal/histogram"
)

func newReaders(funcs []ReaderFunc, producer ProducerFunc) ([]sdkmetric.Reader, error) {
	var readers []sdkmetric.Reader
	for _, f := range funcs {
		r, err := f(producer)
		if err == nil && r == nil {
			err = errors.New("it is nil")
		}
		if err != nil {
			// Without time to flush: they have read nothing.
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			for _, made := range readers {
				_ = made.Shutdown(ctx)
			}
			return nil, fmt.Errorf("failed to make a reader: %w", err)
		}
		readers = append(readers, r)
	}
	return readers, nil
}

// newProducerFunc is the place for all that a scrape shows and the MeterProvider does not know.
func newProducerFunc(collected prometheus.Gatherer, histograms *histogram.Registry, logger *slog.Logger) ProducerFunc {
	log := &errorLog{logger: logger, msg: "failed to collect all metrics for a reader"}
	bridge := prometheusbridge.NewMetricProducer(prometheusbridge.WithGatherer(lenient(collected, log)))
	return func(temporality sdkmetric.TemporalitySelector) sdkmetric.Producer {
		counted := histograms.Producer(temporality(sdkmetric.InstrumentKindHistogram))
		return producers{all: []sdkmetric.Producer{bridge, counted}, log: log}
	}
}

// lenient gives what could be gathered in spite of an error, which would cost
// all of it in the bridge.
func lenient(g prometheus.Gatherer, log *errorLog) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		if err != nil {
			log.Println(err)
		}
		return families, nil
	})
}

// producers are one after the other. They hand on no error: a reader of the SDK
// exports nothing at all of a collection that had one.
type producers struct {
	all []sdkmetric.Producer
	log *errorLog
}

func (ps producers) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	var scopes []metricdata.ScopeMetrics
	for _, p := range ps.all {
		part, err := p.Produce(ctx)
		if err != nil {
			ps.log.Println(err)
		}
		scopes = append(scopes, part...)
	}
	return scopes, nil
}

// registerers registers with each of them.
type registerers []prometheus.Registerer

func (rs registerers) Register(c prometheus.Collector) error {
	for _, r := range rs {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (rs registerers) MustRegister(cs ...prometheus.Collector) {
	for _, r := range rs {
		r.MustRegister(cs...)
	}
}

func (rs registerers) Unregister(c prometheus.Collector) bool {
	known := false
	for _, r := range rs {
		known = r.Unregister(c) || known
	}
	return known
}
