package counted

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Wrap returns mp with meters that accept counted histograms and guard callbacks. Everything else,
// such as ForceFlush and Shutdown, works as before. Wrapping the same mp twice gives equal results.
//
// Wrap supports only *sdkmetric.MeterProvider. It returns any other provider unchanged, including
// nil.
func (h *Histograms) Wrap(mp metric.MeterProvider) metric.MeterProvider {
	if sdk, ok := mp.(*sdkmetric.MeterProvider); ok && sdk != nil {
		return provider{sdk, h}
	}
	return mp
}

// provider wraps the SDK's. It is a value type, so that two results of Wrap can be equal.
type provider struct {
	*sdkmetric.MeterProvider
	histograms *Histograms
}

// Unwrap returns the wrapped provider. Instrumentation uses it to recognise two wrappers of one
// provider.
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

// meter wraps the SDK's. It accepts counted histograms and guards callbacks.
type meter struct {
	metric.Meter
	provider provider
	scope    instrumentation.Scope
}

// ObservableInt64Histogram registers a histogram whose values the caller counts by itself.
// Instrumentation finds this method by a type assertion: the signature has only types of the
// OpenTelemetry API. If the method is missing, instrumentation creates an ordinary histogram.
//
// Collections call observe. It must yield each attribute set with the number of values in each
// bucket, the last being +Inf, and the sum of all values, both since the beginning. It also yields
// the least and the greatest value since the last call; if there was no value, least must be
// greater than greatest. Calls of observe never overlap, and it must not register or unregister a
// histogram. If several callers register one histogram, their counts add up.
//
// exemplars returns a function that offers a value, recorded under the given attribute set, as an
// exemplar. Call that function only if the span in its context is sampled.
//
// Unregister of the registration calls observe a last time. The counts stay in the histogram until
// its last observer unregisters. Then the histogram ends, and data that no reader has collected is
// lost.
//
// registration is nil, and nothing is registered, if a reader would get other data than from an
// ordinary histogram (see the package documentation), or if the histogram exists with other bucket
// bounds.
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

// takesAsIs reports whether every reader has a producer and would get the data of an ordinary
// histogram.
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

// CardinalityLimit returns the limit of attribute sets for each instrument, including the set for
// the overflow. It is the smallest limit among the readers; 0 means no limit. ok is false if the
// limit is unknown.
func (p provider) CardinalityLimit() (limit int, ok bool) {
	pipelines, ok := pipelinesOf(p.MeterProvider)
	for _, pipe := range pipelines {
		limit = leastLimit(limit, pipe.cardinalityLimit())
	}
	return limit, ok && len(pipelines) > 0
}

// ExponentialHistogram reports whether every reader gives the named histogram exponential buckets.
// In Prometheus, such a histogram is a single series, a native histogram.
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
