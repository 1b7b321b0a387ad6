package exporter_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter"
)

// counted counts a histogram as instrumentation would that shares nothing with the SDK.
type counted struct {
	bounds          []float64
	attrs           attribute.Set
	counts          []uint64
	sum             int64
	least, greatest int64
	exemplar        func(context.Context, int64)
}

type observer interface {
	ObservableInt64Histogram(
		name string,
		observe func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64)),
		opts ...metric.Int64HistogramOption,
	) (exemplars func(attribute.Set) func(ctx context.Context, value int64), ok bool)
}

var bounds = []float64{10, 100}

func observe(meter metric.Meter, name string, attrs ...attribute.KeyValue) (*counted, bool) {
	c := &counted{bounds: bounds, attrs: attribute.NewSet(attrs...), counts: make([]uint64, len(bounds)+1)}
	c.least, c.greatest = math.MaxInt64, math.MinInt64
	exemplars, ok := meter.(observer).ObservableInt64Histogram(name, c.observe, histogramOptions()...)
	if ok {
		c.exemplar = exemplars(c.attrs)
	}
	return c, ok
}

func histogramOptions() []metric.Int64HistogramOption {
	return []metric.Int64HistogramOption{
		metric.WithUnit("By"), metric.WithDescription("Sizes."), metric.WithExplicitBucketBoundaries(bounds...),
	}
}

func (c *counted) observe(yield func(attribute.Set, []uint64, int64, int64, int64)) {
	yield(c.attrs, c.counts, c.sum, c.least, c.greatest)
	c.least, c.greatest = math.MaxInt64, math.MinInt64
}

func (c *counted) record(ctx context.Context, v int64) {
	i, _ := slices.BinarySearch(c.bounds, float64(v))
	c.counts[i]++
	c.sum += v
	c.least, c.greatest = min(c.least, v), max(c.greatest, v)
	c.exemplar(ctx, v)
}

// An observed histogram is an instrument's, to the digit, in each temporality and collection.
func TestObservedHistogramAgrees(t *testing.T) {
	readers := map[string]*sdkmetric.ManualReader{}
	add := func(name string, t metricdata.Temporality) exporter.Option {
		return exporter.WithReader(func(p exporter.ProducerFunc) (sdkmetric.Reader, error) {
			selector := func(sdkmetric.InstrumentKind) metricdata.Temporality { return t }
			readers[name] = sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(selector), sdkmetric.WithProducer(p(selector)))
			return readers[name], nil
		})
	}
	exp := newExporter(t, add("cumulative", metricdata.CumulativeTemporality), add("delta", metricdata.DeltaTemporality))
	meter := exp.MeterProvider().Meter("example.com/sizes", metric.WithInstrumentationVersion("1.2.3"))
	free, pro := attribute.String("tier", "free"), attribute.String("tier", "pro")
	instrument, err := meter.Int64Histogram("size.instrument", histogramOptions()...)
	check(t, err)
	a, ok := observe(meter, "size.observed", free)
	b, ok2 := observe(meter, "size.observed", pro)
	again, ok3 := observe(meter, "size.observed", pro) // of a second instrumentation
	if !ok || !ok2 || !ok3 {
		t.Fatal("the meter observes no histograms")
	}

	steps := [][]struct {
		to    *counted
		value int64
	}{
		{{a, 5}, {a, 10}, {b, 11}, {b, 1 << 40}},
		{}, // nothing between two collections
		{{a, 1000}, {again, 0}, {b, 100}},
		{{again, 101}},
	}
	for i, step := range steps {
		for _, s := range step {
			s.to.record(sampled, s.value)
			instrument.Record(sampled, s.value, metric.WithAttributeSet(s.to.attrs))
		}
		for name, r := range readers {
			var rm metricdata.ResourceMetrics
			check(t, r.Collect(context.Background(), &rm))
			got, want := histogramOf(t, rm, "size.observed"), histogramOf(t, rm, "size.instrument")
			opts := cmp.Options{
				cmp.AllowUnexported(metricdata.Extrema[int64]{}),
				cmp.Comparer(func(a, b attribute.Set) bool { return a.Equals(&b) }),
				cmpopts.IgnoreTypes(time.Time{}),
				cmpopts.EquateEmpty(),
			}
			if diff := cmp.Diff(want, got, opts); diff != "" {
				t.Errorf("collection %d, %s: want -, got +:\n%s", i, name, diff)
			}
		}
		text := scrape(t, serveHandler(t, exp), "")
		if got, want := histogramLines(text, "size_observed_bytes"), histogramLines(text, "size_instrument_bytes"); got != want {
			t.Errorf("collection %d: scrape has\n%s, want\n%s", i, got, want)
		}
	}
}

// histogramOf returns the points of a histogram by attributes. The exemplars of one bucket are chosen
// at random: of them, that there are some counts.
func histogramOf(t *testing.T, rm metricdata.ResourceMetrics, name string) []metricdata.HistogramDataPoint[int64] {
	t.Helper()
	var points []metricdata.HistogramDataPoint[int64]
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if m.Name != name {
				continue
			}
			if sm.Scope.Name != "example.com/sizes" || sm.Scope.Version != "1.2.3" || m.Unit != "By" || m.Description != "Sizes." {
				t.Errorf("%s is of %+v, in %q: %q", name, sm.Scope, m.Unit, m.Description)
			}
			points = append(points, m.Data.(metricdata.Histogram[int64]).DataPoints...)
		}
	}
	slices.SortFunc(points, func(a, b metricdata.HistogramDataPoint[int64]) int {
		return strings.Compare(a.Attributes.Encoded(attribute.DefaultEncoder()), b.Attributes.Encoded(attribute.DefaultEncoder()))
	})
	for i, p := range points {
		points[i].Exemplars = nil
		if len(p.Exemplars) == 0 {
			t.Errorf("%s %v has no exemplars", name, p.Attributes.ToSlice())
		}
		for _, e := range p.Exemplars {
			if e.Time.Before(p.StartTime) || len(e.TraceID) != 16 {
				t.Errorf("%s has the exemplar %+v of before %v", name, e, p.StartTime)
			}
		}
	}
	return points
}

// histogramLines are the samples of one histogram, under a name that stands for all.
func histogramLines(text, name string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			lines = append(lines, "size"+rest)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func TestObservedHistogramRefused(t *testing.T) {
	plain := exporter.WithReader(func(exporter.ProducerFunc) (sdkmetric.Reader, error) {
		return sdkmetric.NewManualReader(), nil
	})
	view := exporter.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "size*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))
	other := exporter.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "job*"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))
	tests := []struct {
		name       string
		opts       []exporter.Option
		key, value string
		want       bool
	}{
		{name: "as it is", want: true},
		{name: "a view of others", opts: []exporter.Option{other}, want: true},
		{name: "a view", opts: []exporter.Option{view}},
		{name: "a reader without a producer", opts: []exporter.Option{plain}},
		{name: "exemplars of everything", key: "OTEL_METRICS_EXEMPLAR_FILTER", value: "always_on"},
		{name: "no exemplars", key: "OTEL_METRICS_EXEMPLAR_FILTER", value: "ALWAYS_OFF"},
		{name: "exponential buckets", key: "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", value: "base2_exponential_bucket_histogram"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.key != "" {
				t.Setenv(tt.key, tt.value)
			}
			exp := newExporter(t, tt.opts...)
			if _, ok := observe(exp.MeterProvider().Meter("example.com/sizes"), "size.observed"); ok != tt.want {
				t.Errorf("observes histograms: %v, want %v", ok, tt.want)
			}
		})
	}
}

// A second observer has the bounds of the first, or is none.
func TestObservedHistogramBounds(t *testing.T) {
	exp := newExporter(t)
	meter := exp.MeterProvider().Meter("example.com/sizes")
	c, ok := observe(meter, "size.observed")
	if !ok {
		t.Fatal("the meter observes no histograms")
	}
	_, ok = meter.(observer).ObservableInt64Histogram("size.observed", c.observe,
		metric.WithUnit("By"), metric.WithDescription("Sizes."), metric.WithExplicitBucketBoundaries(1, 2, 3, 4))
	if ok {
		t.Error("there are two histograms of one name with different bounds")
	}
	c.record(sampled, 7)
	if text := scrape(t, serveHandler(t, exp), ""); !strings.Contains(text, "size_observed_bytes_sum 7\n") {
		t.Error("the scrape lacks the histogram")
	}
}

// A reader that is made anew, such as one that connects again, has what was
// recorded before.
func TestProducerOfLater(t *testing.T) {
	var producer exporter.ProducerFunc
	exp := newExporter(t, exporter.WithReader(func(p exporter.ProducerFunc) (sdkmetric.Reader, error) {
		producer = p
		return sdkmetric.NewManualReader(sdkmetric.WithProducer(p(sdkmetric.DefaultTemporalitySelector))), nil
	}))
	c, ok := observe(exp.MeterProvider().Meter("example.com/sizes"), "size.observed")
	if !ok {
		t.Fatal("the meter observes no histograms")
	}
	c.record(sampled, 7)
	again := producer(sdkmetric.DefaultTemporalitySelector)
	c.record(sampled, 8)
	scopes, err := again.Produce(context.Background())
	check(t, err)
	i := slices.IndexFunc(scopes, func(s metricdata.ScopeMetrics) bool { return s.Scope.Name == "example.com/sizes" })
	if i < 0 {
		t.Fatal("the histogram is not there")
	}
	p := scopes[i].Metrics[0].Data.(metricdata.Histogram[int64]).DataPoints[0]
	if p.Count != 2 || p.Sum != 15 || len(p.Exemplars) != 1 {
		t.Errorf("got %+v", p)
	}
}

// A callback that fails costs nobody else anything.
func TestCallbackErrors(t *testing.T) {
	exp := newExporter(t)
	meter := exp.MeterProvider().Meter("example.com/sizes")
	failing := errors.New("no figure today")
	int64s := metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error { o.Observe(1); return failing })
	float64s := metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error { o.Observe(1); return failing })
	_, err1 := meter.Int64ObservableCounter("a", int64s, metric.WithDescription("Described."))
	_, err2 := meter.Int64ObservableUpDownCounter("b", int64s)
	_, err3 := meter.Int64ObservableGauge("c", int64s)
	_, err4 := meter.Float64ObservableCounter("d", float64s)
	_, err5 := meter.Float64ObservableUpDownCounter("e", float64s)
	_, err6 := meter.Float64ObservableGauge("f", float64s)
	g, err7 := meter.Int64ObservableGauge("g")
	_, err8 := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error { o.ObserveInt64(g, 1); return failing }, g)
	check(t, errors.Join(err1, err2, err3, err4, err5, err6, err7, err8))
	h, _ := observe(meter, "size.observed")
	h.record(sampled, 7)

	text := scrape(t, serveHandler(t, exp), "")
	for _, want := range []string{
		"# HELP a_total Described.\n", "a_total 1\n", "b 1\n", "c 1\n", "d_total 1\n", "e 1\n", "f 1\n", "g 1\n",
		"size_observed_bytes_sum 7\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape lacks %q", want)
		}
	}
}
