package counted_test

import (
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelws/otelws-go/exporter/counted"
)

func TestCardinalityLimit(t *testing.T) {
	ofReader := func(limit int, fallback bool) sdkmetric.Option {
		return sdkmetric.WithReader(sdkmetric.NewManualReader(sdkmetric.WithCardinalityLimitSelector(
			func(sdkmetric.InstrumentKind) (int, bool) { return limit, fallback })))
	}
	plain := sdkmetric.WithReader(sdkmetric.NewManualReader())
	for _, tt := range []struct {
		name string
		env  string
		opts []sdkmetric.Option
		want int
	}{
		{name: "default", opts: []sdkmetric.Option{plain}, want: 2000},
		{name: "variable", env: "300", opts: []sdkmetric.Option{plain}, want: 300},
		{name: "option", env: "300", opts: []sdkmetric.Option{plain, sdkmetric.WithCardinalityLimit(400)}, want: 400},
		{name: "none", opts: []sdkmetric.Option{plain, sdkmetric.WithCardinalityLimit(-1)}, want: 0},
		{name: "a reader's", opts: []sdkmetric.Option{plain, ofReader(10, false)}, want: 10},
		{name: "a reader's, of none", opts: []sdkmetric.Option{ofReader(10, true), ofReader(0, false)}, want: 2000},
		{name: "two readers', both of none", opts: []sdkmetric.Option{ofReader(0, false), ofReader(-1, false)}, want: 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OTEL_GO_X_CARDINALITY_LIMIT", tt.env)
			mp := counted.New().Wrap(sdkmetric.NewMeterProvider(tt.opts...))
			got, ok := mp.(interface{ CardinalityLimit() (int, bool) }).CardinalityLimit()
			if got != tt.want || !ok {
				t.Errorf("limit %d, %v; want %d", got, ok, tt.want)
			}
		})
	}
}

func TestExponentialHistogram(t *testing.T) {
	reader := func(s sdkmetric.AggregationSelector) sdkmetric.Option {
		return sdkmetric.WithReader(sdkmetric.NewManualReader(sdkmetric.WithAggregationSelector(s)))
	}
	view := sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: observed},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}}))
	for _, tt := range []struct {
		name string
		opts []sdkmetric.Option
		want bool
	}{
		{"no reader", nil, false},
		{"default", []sdkmetric.Option{reader(sdkmetric.DefaultAggregationSelector)}, false},
		{"a reader's", []sdkmetric.Option{reader(exponential)}, true},
		{"of one of two readers", []sdkmetric.Option{reader(exponential), reader(sdkmetric.DefaultAggregationSelector)}, false},
		{"a view's", []sdkmetric.Option{reader(sdkmetric.DefaultAggregationSelector), view}, true},
		{"against the reader", []sdkmetric.Option{reader(exponential), sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "*"},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: bounds}}))}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			meter := counted.New().Wrap(sdkmetric.NewMeterProvider(tt.opts...)).Meter(scope)
			got := meter.(interface {
				ExponentialHistogram(name, description, unit string) bool
			}).ExponentialHistogram(observed, "Sizes.", "By")
			if got != tt.want {
				t.Errorf("exponential: %v, want %v", got, tt.want)
			}
		})
	}
}
