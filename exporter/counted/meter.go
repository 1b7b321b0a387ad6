package counted

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Wrap returns mp with meters that take counted histograms and call callbacks through a guard. What else mp does, it
// does as before, ForceFlush and Shutdown included. Two results for one mp are equal.
//
// Only of a *sdkmetric.MeterProvider is it known what it does with a histogram. Any other provider is returned as it
// is, nil included.
func (h *Histograms) Wrap(mp metric.MeterProvider) metric.MeterProvider {
	if sdk, ok := mp.(*sdkmetric.MeterProvider); ok && sdk != nil {
		return provider{sdk, h}
	}
	return mp
}

// provider is the SDK's, with meters that take more. It is a value, so that it is equal to another of its kind.
type provider struct {
	*sdkmetric.MeterProvider
	histograms *Histograms
}

// Unwrap returns the provider that was wrapped: what an instrumentation tells providers apart by.
func (p provider) Unwrap() metric.MeterProvider { return p.MeterProvider }

func (p provider) Meter(name string, opts ...metric.MeterOption) metric.Meter {
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

// meter is the SDK's, with counted histograms and with callbacks that cannot fail.
type meter struct {
	metric.Meter
	provider provider
	scope    instrumentation.Scope
}

// ObservableInt64Histogram registers a histogram whose values the caller counts itself, at whatever pace and place
// suits it, and which is read when metrics are collected. Instrumentation finds the method by its signature, which
// has the API's types alone, and has an ordinary instrument where there is none.
//
// observe yields for each attribute set how many values fell in each bucket, +Inf being the last, and their sum,
// both since the beginning, and the least and the greatest value since the last call (in the wrong order where there
// was none). It is called by one goroutine at a time, while no histogram can be registered or unregistered: it must
// do neither. Several that observe one histogram add up.
//
// exemplars returns the function that offers values recorded under an attribute set as exemplars; it is for
// measurements whose span is sampled.
//
// Unregister of the registration calls observe for the last time. What was counted stays in the histogram for as
// long as another observes it; with the last one the histogram goes, and with it what a reader has not collected.
//
// registration is nil, and nothing is registered, where the ordinary instrument would come out otherwise: see the
// package documentation. So it is where the histogram is there with other bounds.
func (m *meter) ObservableInt64Histogram(
	name string,
	observe func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64)),
	opts ...metric.Int64HistogramOption,
) (exemplars func(attribute.Set) func(ctx context.Context, value int64), registration metric.Registration) {
	cfg := metric.NewInt64HistogramConfig(opts...)
	i := sdkmetric.Instrument{
		Name:        name,
		Description: cfg.Description(),
		Kind:        sdkmetric.InstrumentKindHistogram,
		Unit:        cfg.Unit(),
		Scope:       m.scope,
	}
	if len(cfg.ExplicitBucketBoundaries()) == 0 || !m.provider.takesAsIs(i) {
		return nil, nil
	}
	id := identity{m.scope, name, cfg.Description(), cfg.Unit()}
	r, ok := m.provider.histograms.register(id, cfg.ExplicitBucketBoundaries(), observe)
	if !ok {
		return nil, nil
	}
	return r.exemplars, r
}

// takesAsIs says whether every reader has a producer, and would have the histogram as it is.
func (p provider) takesAsIs(i sdkmetric.Instrument) bool {
	pipelines, ok := pipelinesOf(p.MeterProvider)
	if !ok || len(pipelines) != p.histograms.producerCount() {
		return false
	}
	for _, pipe := range pipelines {
		if !pipe.takesAsIs(i) {
			return false
		}
	}
	return true
}

// CardinalityLimit returns how many attribute sets of one instrument the SDK has data points for, of which one is that
// of the overflow: the least of the readers' limits, 0 where there is none. ok is false where it is not known.
func (p provider) CardinalityLimit() (limit int, ok bool) {
	pipelines, ok := pipelinesOf(p.MeterProvider)
	for _, pipe := range pipelines {
		limit = leastLimit(limit, pipe.cardinalityLimit())
	}
	return limit, ok && len(pipelines) > 0
}

// ExponentialHistogram says whether every reader has a histogram of this name with exponential buckets, as which it is
// one native histogram in Prometheus.
func (m *meter) ExponentialHistogram(name, description, unit string) bool {
	pipelines, _ := pipelinesOf(m.provider.MeterProvider)
	for _, pipe := range pipelines {
		all, _ := pipe.aggregations(sdkmetric.Instrument{
			Name: name, Description: description, Kind: sdkmetric.InstrumentKindHistogram, Unit: unit, Scope: m.scope,
		})
		for _, a := range all {
			if _, exponential := a.(sdkmetric.AggregationBase2ExponentialHistogram); !exponential {
				return false
			}
		}
	}
	return len(pipelines) > 0
}
