package exporter

import (
	"context"
	"os"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelws/otelws-go/exporter/internal/histogram"
)

// meterProvider is the SDK's, with meters that take more.
type meterProvider struct {
	*sdkmetric.MeterProvider
	histograms *histogram.Registry
	views      []sdkmetric.View
	exact      bool // every reader has a producer, and takes histograms as they are
}

func (p *meterProvider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
	cfg := metric.NewMeterConfig(opts...)
	return &meter{
		Meter:    p.MeterProvider.Meter(name, opts...),
		provider: p,
		scope: instrumentation.Scope{
			Name:       name,
			Version:    cfg.InstrumentationVersion(),
			SchemaURL:  cfg.SchemaURL(),
			Attributes: cfg.InstrumentationAttributes(),
		},
	}
}

// meter is the SDK's, with histograms that are observed and callbacks that cannot fail.
type meter struct {
	metric.Meter
	provider *meterProvider
	scope    instrumentation.Scope
}

// ObservableInt64Histogram registers a histogram whose values the caller counts itself, at whatever
// pace and place suits it, and which is read when metrics are collected. Instrumentation finds the
// method by its signature, which has the API's types alone, and has an ordinary instrument where
// there is none.
//
// observe yields for each attribute set how many values fell in each bucket, +Inf being the last,
// and their sum, both since the beginning, and the least and the greatest value since the last call
// (in the wrong order where there was none). It is called by one goroutine at a time, while no
// histogram can be registered: it must register none.
//
// exemplars returns the function that offers values recorded under an attribute set as exemplars;
// it is called for measurements whose span is sampled.
//
// ok is false, and nothing is registered, where the ordinary instrument would come out otherwise: a
// view or the environment changes it, a reader took no producer, or the histogram is there with other
// bounds.
func (m *meter) ObservableInt64Histogram(
	name string,
	observe func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64)),
	opts ...metric.Int64HistogramOption,
) (exemplars func(attribute.Set) func(ctx context.Context, value int64), ok bool) {
	cfg := metric.NewInt64HistogramConfig(opts...)
	if !m.provider.takesAsIs(sdkmetric.Instrument{
		Name:        name,
		Description: cfg.Description(),
		Kind:        sdkmetric.InstrumentKindHistogram,
		Unit:        cfg.Unit(),
		Scope:       m.scope,
	}) || len(cfg.ExplicitBucketBoundaries()) == 0 {
		return nil, false
	}
	h, ok := m.provider.histograms.Register(m.scope, name, cfg.Description(), cfg.Unit(), cfg.ExplicitBucketBoundaries(), observe)
	if !ok {
		return nil, false
	}
	return h.Exemplars, true
}

func (p *meterProvider) takesAsIs(i sdkmetric.Instrument) bool {
	if !p.exact {
		return false
	}
	for _, view := range p.views {
		if _, matches := view(i); matches {
			return false
		}
	}
	return true
}

// standardHistograms says whether the environment leaves histograms their explicit buckets, and
// exemplars those whose span is sampled.
func standardHistograms() bool {
	variable := func(name string) string { return strings.ToLower(strings.TrimSpace(os.Getenv(name))) }
	switch variable("OTEL_METRICS_EXEMPLAR_FILTER") {
	case "always_on", "always_off":
		return false
	}
	return variable("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION") != "base2_exponential_bucket_histogram"
}
