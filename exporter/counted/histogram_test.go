package counted_test

import (
	"context"
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

	"github.com/otelws/otelws-go/exporter/counted"
)

// A counted histogram is exactly like an instrument, with each temporality and in
// each collection.
func TestAgreesWithInstrument(t *testing.T) {
	h := counted.New()
	readers := map[string]sdkmetric.Reader{
		"cumulative": newReader(h, metricdata.CumulativeTemporality),
		"delta":      newReader(h, metricdata.DeltaTemporality),
	}
	sdk := sdkmetric.NewMeterProvider(sdkmetric.WithReader(readers["cumulative"]), sdkmetric.WithReader(readers["delta"]))
	mp := h.Wrap(sdk)
	free, pro := attribute.String("tier", "free"), attribute.String("tier", "pro")
	instrument, err := mp.Meter(scope, metric.WithInstrumentationVersion("1.2.3")).Int64Histogram("size.instrument", histogramOptions()...)
	check(t, err)
	a, b, again := newSizes(mp, free), newSizes(mp, pro), newSizes(mp, pro) // again belongs to a second instrumentation
	if a.registration == nil || b.registration == nil || again.registration == nil {
		t.Fatal("the meter takes no counted histograms")
	}

	steps := []struct {
		name   string
		record map[*sizes][]int64
		before func()
	}{
		{"first", map[*sizes][]int64{a: {5, 10}, b: {11, 1 << 40}}, nil},
		{"nothing", nil, nil},
		{"two of one", map[*sizes][]int64{a: {1000}, again: {0}, b: {100}}, nil},
		{"one unregistered", map[*sizes][]int64{b: {7}, again: {101, 3}}, func() { check(t, again.registration.Unregister()) }},
		{"unregistered again", map[*sizes][]int64{b: {12}}, func() { check(t, again.registration.Unregister()) }},
		{"nothing again", nil, nil},
	}
	for _, step := range steps {
		for to, values := range step.record {
			for _, v := range values {
				to.record(sampled, v)
				instrument.Record(sampled, v, metric.WithAttributeSet(to.attrs))
			}
		}
		if step.before != nil {
			step.before()
		}
		for name, r := range readers {
			all := collect(t, r)
			opts := cmp.Options{
				cmp.AllowUnexported(metricdata.Extrema[int64]{}),
				cmp.Comparer(func(a, b attribute.Set) bool { return a.Equals(&b) }),
				cmpopts.IgnoreTypes(time.Time{}),
				cmpopts.EquateEmpty(),
			}
			if diff := cmp.Diff(pointsOf(t, all["size.instrument"]), pointsOf(t, all[observed]), opts); diff != "" {
				t.Errorf("%s, %s: want -, got +:\n%s", step.name, name, diff)
			}
		}
	}
}

// pointsOf returns the points of a histogram by attributes. The SDK chooses the
// exemplars of a bucket at random, so only their presence is compared.
func pointsOf(t *testing.T, m metricdata.Metrics) []metricdata.HistogramDataPoint[int64] {
	t.Helper()
	data, ok := m.Data.(metricdata.Histogram[int64])
	if !ok {
		return nil
	}
	if m.Unit != "By" || m.Description != "Sizes." {
		t.Errorf("%s is in %q: %q", m.Name, m.Unit, m.Description)
	}
	points := slices.Clone(data.DataPoints)
	slices.SortFunc(points, func(a, b metricdata.HistogramDataPoint[int64]) int {
		return strings.Compare(a.Attributes.Encoded(attribute.DefaultEncoder()), b.Attributes.Encoded(attribute.DefaultEncoder()))
	})
	for i, p := range points {
		points[i].Exemplars = nil
		if len(p.Exemplars) == 0 {
			t.Errorf("%s %v has no exemplars", m.Name, p.Attributes.ToSlice())
		}
		for _, e := range p.Exemplars {
			if e.Time.Before(p.StartTime) || len(e.TraceID) != 16 {
				t.Errorf("%s has the exemplar %+v of before %v", m.Name, e, p.StartTime)
			}
		}
	}
	return points
}

// A histogram has the scope of its meter, so readers put it beside the other
// instruments of the meter.
func TestScope(t *testing.T) {
	h := counted.New()
	r := newReader(h, metricdata.CumulativeTemporality)
	mp := h.Wrap(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
	newSizes(mp).record(context.Background(), 1)
	var rm metricdata.ResourceMetrics
	check(t, r.Collect(context.Background(), &rm))
	if len(rm.ScopeMetrics) != 1 || rm.ScopeMetrics[0].Scope.Name != scope || rm.ScopeMetrics[0].Scope.Version != "1.2.3" {
		t.Errorf("got %+v", rm.ScopeMetrics)
	}
}

// A second observer must have the bounds of the first. Otherwise it is refused.
func TestOtherBounds(t *testing.T) {
	h := counted.New()
	r := newReader(h, metricdata.CumulativeTemporality)
	mp := h.Wrap(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
	s := newSizes(mp)
	_, registration := mp.Meter(scope, metric.WithInstrumentationVersion("1.2.3")).(observer).ObservableInt64Histogram(observed, s.observe,
		metric.WithUnit("By"), metric.WithDescription("Sizes."), metric.WithExplicitBucketBoundaries(1, 2, 3, 4))
	if registration != nil {
		t.Error("there are two histograms of one name with different bounds")
	}
	s.record(sampled, 7)
	if p := pointsOf(t, collect(t, r)[observed]); len(p) != 1 || p[0].Sum != 7 {
		t.Errorf("got %+v", p)
	}
}

// A producer for a later reader also has the earlier values.
func TestLaterProducer(t *testing.T) {
	h := counted.New()
	s := newSizes(h.Wrap(sdkmetric.NewMeterProvider(sdkmetric.WithReader(newReader(h, metricdata.CumulativeTemporality)))))
	s.record(sampled, 7)
	again := h.Producer(nil)
	s.record(sampled, 8)
	scopes, err := again.Produce(context.Background())
	check(t, err)
	p := scopes[0].Metrics[0].Data.(metricdata.Histogram[int64]).DataPoints[0]
	if p.Count != 2 || p.Sum != 15 || len(p.Exemplars) != 1 {
		t.Errorf("got %+v", p)
	}
}

// A histogram ends with its last observer, and starts at zero with the next one.
func TestLastObserver(t *testing.T) {
	h := counted.New()
	r := newReader(h, metricdata.CumulativeTemporality)
	mp := h.Wrap(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
	first := newSizes(mp)
	first.record(sampled, 7)
	before := pointsOf(t, collect(t, r)[observed])
	check(t, first.registration.Unregister())
	if m, ok := collect(t, r)[observed]; ok {
		t.Errorf("without an observer there is %+v", m)
	}
	second := newSizes(mp)
	second.record(sampled, 1)
	after := pointsOf(t, collect(t, r)[observed])
	if len(after) != 1 || after[0].Sum != 1 || !after[0].StartTime.After(before[0].StartTime) {
		t.Errorf("got %+v after %+v", after, before)
	}
}
