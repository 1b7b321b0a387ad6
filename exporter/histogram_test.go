package exporter_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter"
)

type observer interface {
	ObservableInt64Histogram(
		name string,
		observe func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64)),
		opts ...metric.Int64HistogramOption,
	) (exemplars func(attribute.Set) func(ctx context.Context, value int64), registration metric.Registration)
}

// observe registers a histogram of sizes with one value of 7. It reports whether the
// histogram is counted.
func observe(meter metric.Meter) bool {
	_, registration := meter.(observer).ObservableInt64Histogram("size.observed",
		func(yield func(attribute.Set, []uint64, int64, int64, int64)) {
			yield(*attribute.EmptySet(), []uint64{1, 0, 0}, 7, math.MaxInt64, math.MinInt64)
		}, sizeOptions()...)
	return registration != nil
}

func sizeOptions() []metric.Int64HistogramOption {
	return []metric.Int64HistogramOption{
		metric.WithUnit("By"), metric.WithDescription("Sizes."), metric.WithExplicitBucketBoundaries(10, 100),
	}
}

// Every reader of the exporter has a producer, and a scrape shows a counted histogram
// like an ordinary one.
func TestCountedHistogram(t *testing.T) {
	exp, reader := newWithReader(t)
	meter := exp.MeterProvider().Meter("example.com/sizes")
	if !observe(meter) {
		t.Fatal("the exporter counts no histograms")
	}
	instrument, err := meter.Int64Histogram("size.instrument", sizeOptions()...)
	check(t, err)
	instrument.Record(context.Background(), 7)
	text := scrape(t, serveHandler(t, exp), "")
	got, want := histogramLines(text, "size_observed_bytes"), histogramLines(text, "size_instrument_bytes")
	if got != want || strings.Count(got, "\n") != 5 {
		t.Errorf("the scrape has\n%s, want\n%s", got, want)
	}
	h, _ := collect(t, reader)["size.observed"].(metricdata.Histogram[int64])
	if len(h.DataPoints) != 1 || h.DataPoints[0].Sum != 7 {
		t.Errorf("the further reader has %+v", h)
	}
}

// histogramLines returns the samples of one histogram, renamed to size.
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

func TestOrdinaryHistogram(t *testing.T) {
	for name, opt := range map[string]exporter.Option{
		"a view": exporter.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "size.observed"}, sdkmetric.Stream{Name: "bytes"})),
		"a reader without a producer": exporter.WithReader(func(exporter.ProducerFunc) (sdkmetric.Reader, error) {
			return sdkmetric.NewManualReader(), nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if observe(newExporter(t, opt).MeterProvider().Meter("example.com/sizes")) {
				t.Error("the histogram is counted")
			}
		})
	}
}
