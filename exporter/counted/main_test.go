package counted_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/exporter/counted"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var sampled = trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{1, 15: 2}, SpanID: trace.SpanID{3, 7: 4}, TraceFlags: trace.FlagsSampled,
}))

// observer is the interface that instrumentation looks for in a meter.
type observer interface {
	ObservableInt64Histogram(
		name string,
		observe func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64)),
		opts ...metric.Int64HistogramOption,
	) (exemplars func(attribute.Set) func(ctx context.Context, value int64), registration metric.Registration)
}

// sizes counts a histogram like an instrumentation that shares no code with the SDK.
type sizes struct {
	attrs           attribute.Set
	counts          []uint64
	sum             int64
	least, greatest int64
	exemplar        func(context.Context, int64)
	registration    metric.Registration // nil if the meter does not accept the histogram
}

const scope, observed = "example.com/sizes", "size.observed"

var bounds = []float64{10, 100}

func histogramOptions() []metric.Int64HistogramOption {
	return []metric.Int64HistogramOption{
		metric.WithUnit("By"), metric.WithDescription("Sizes."), metric.WithExplicitBucketBoundaries(bounds...),
	}
}

func newSizes(mp metric.MeterProvider, attrs ...attribute.KeyValue) *sizes {
	s := &sizes{attrs: attribute.NewSet(attrs...), counts: make([]uint64, len(bounds)+1)}
	s.least, s.greatest = math.MaxInt64, math.MinInt64
	o, ok := mp.Meter(scope, metric.WithInstrumentationVersion("1.2.3")).(observer)
	if !ok {
		return s
	}
	exemplars, registration := o.ObservableInt64Histogram(observed, s.observe, histogramOptions()...)
	if registration != nil {
		s.exemplar, s.registration = exemplars(s.attrs), registration
	}
	return s
}

func (s *sizes) observe(yield func(attribute.Set, []uint64, int64, int64, int64)) {
	yield(s.attrs, s.counts, s.sum, s.least, s.greatest)
	s.least, s.greatest = math.MaxInt64, math.MinInt64
}

func (s *sizes) record(ctx context.Context, v int64) {
	i, _ := slices.BinarySearch(bounds, float64(v))
	s.counts[i]++
	s.sum += v
	s.least, s.greatest = min(s.least, v), max(s.greatest, v)
	s.exemplar(ctx, v)
}

func selector(t metricdata.Temporality) sdkmetric.TemporalitySelector {
	return func(sdkmetric.InstrumentKind) metricdata.Temporality { return t }
}

// newReader returns a reader with a producer.
func newReader(h *counted.Histograms, t metricdata.Temporality) *sdkmetric.ManualReader {
	return sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(selector(t)), sdkmetric.WithProducer(h.Producer(selector(t))))
}

// collect returns the metrics of a reader, by name.
func collect(t testing.TB, r sdkmetric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	check(t, r.Collect(context.Background(), &rm))
	all := map[string]metricdata.Metrics{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if _, twice := all[m.Name]; twice {
				t.Errorf("%s is there twice", m.Name)
			}
			all[m.Name] = m
		}
	}
	return all
}
