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

	"github.com/otelws/otelws-go/exporter/counted"
)

func newReaders(funcs []ReaderFunc, producer ProducerFunc) ([]sdkmetric.Reader, error) {
	var readers []sdkmetric.Reader
	for _, f := range funcs {
		r, err := f(producer)
		if err == nil && r == nil {
			err = errors.New("it is nil")
		}
		if err != nil {
			// There is nothing to flush: they have read nothing.
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

// newProducerFunc returns the producer for all metrics of a scrape that are outside the
// MeterProvider.
func newProducerFunc(collected prometheus.Gatherer, histograms *counted.Histograms, logger *slog.Logger) ProducerFunc {
	log := &errorLog{logger: logger, msg: "failed to collect all metrics for a reader"}
	bridge := prometheusbridge.NewMetricProducer(prometheusbridge.WithGatherer(lenient(collected, log)))
	return func(temporality sdkmetric.TemporalitySelector) sdkmetric.Producer {
		return producers{all: []sdkmetric.Producer{bridge, histograms.Producer(temporality)}, log: log}
	}
}

// lenient drops the error of a partial result. With an error, the bridge would drop the whole
// result.
func lenient(g prometheus.Gatherer, log *errorLog) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		if err != nil {
			log.Println(err)
		}
		return families, nil
	})
}

// producers combines several producers. It returns no error: with an error, a reader of the SDK
// would export nothing at all.
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
