package counted_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter/counted"
)

// embedding is a user's reader that embeds a reader of the SDK.
type embedding struct {
	name string
	sdkmetric.Reader
}

// stopped is an exporter for a PeriodicReader that never exports.
type stopped struct{ aggregation sdkmetric.AggregationSelector }

func (stopped) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}
func (e stopped) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return e.aggregation(k)
}
func (stopped) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (stopped) ForceFlush(context.Context) error                          { return nil }
func (stopped) Shutdown(context.Context) error                            { return nil }

func exponential(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if k == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
	}
	return sdkmetric.DefaultAggregationSelector(k)
}

func withoutExtrema(sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.AggregationExplicitBucketHistogram{Boundaries: bounds, NoMinMax: true}
}

// A histogram is counted only if the result is an ordinary histogram. Each reader has
// it once, in the form of the view or of the reader's aggregation.
func TestTakesHistogramsAsTheyAre(t *testing.T) {
	view := func(of, to string, a sdkmetric.Aggregation) sdkmetric.Option {
		return sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: of}, sdkmetric.Stream{Name: to, Aggregation: a}))
	}
	for _, tt := range []struct {
		name    string
		readers func(h *counted.Histograms) []sdkmetric.Reader // nil means one reader with a producer
		opts    []sdkmetric.Option
		env     [2]string
		counted bool
	}{
		{name: "as it is", counted: true},
		{name: "a view of others", opts: []sdkmetric.Option{view("job*", "", sdkmetric.AggregationDrop{})}, counted: true},
		{name: "a view that drops it", opts: []sdkmetric.Option{view("size*", "", sdkmetric.AggregationDrop{})}},
		{name: "a view that renames it", opts: []sdkmetric.Option{view(observed, "bytes", nil)}},
		{name: "a view that has no effect", opts: []sdkmetric.Option{view(observed, "", nil)}},
		{name: "exemplars of everything", env: [2]string{"OTEL_METRICS_EXEMPLAR_FILTER", "always_on"}},
		{name: "no exemplars", opts: []sdkmetric.Option{sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter)}},
		{name: "exemplars as they are", opts: []sdkmetric.Option{sdkmetric.WithExemplarFilter(exemplar.TraceBasedFilter)}, counted: true},
		{name: "a reader without a producer", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			return []sdkmetric.Reader{newReader(h, metricdata.CumulativeTemporality), sdkmetric.NewManualReader()}
		}},
		{name: "no reader with a producer", readers: func(*counted.Histograms) []sdkmetric.Reader {
			return []sdkmetric.Reader{sdkmetric.NewManualReader()}
		}},
		{name: "a producer too many", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			h.Producer(nil)
			return []sdkmetric.Reader{newReader(h, metricdata.CumulativeTemporality)}
		}},
		{name: "a reader with exponential buckets", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			return []sdkmetric.Reader{
				newReader(h, metricdata.CumulativeTemporality),
				sdkmetric.NewManualReader(sdkmetric.WithAggregationSelector(exponential), sdkmetric.WithProducer(h.Producer(nil))),
			}
		}},
		{name: "an exporter with exponential buckets", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			return []sdkmetric.Reader{sdkmetric.NewPeriodicReader(stopped{exponential}, sdkmetric.WithProducer(h.Producer(nil)))}
		}},
		{name: "no extrema", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			return []sdkmetric.Reader{sdkmetric.NewManualReader(sdkmetric.WithAggregationSelector(withoutExtrema), sdkmetric.WithProducer(h.Producer(nil)))}
		}},
		{name: "one that pushes", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			return []sdkmetric.Reader{sdkmetric.NewPeriodicReader(stopped{sdkmetric.DefaultAggregationSelector}, sdkmetric.WithProducer(h.Producer(nil)))}
		}, counted: true},
		{name: "one that embeds another", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			return []sdkmetric.Reader{&embedding{"a", embedding{"b", newReader(h, metricdata.CumulativeTemporality)}}}
		}, counted: true},
		{name: "Prometheus", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			r, err := otelprometheus.New(otelprometheus.WithProducer(h.Producer(nil)), otelprometheus.WithRegisterer(prometheus.NewRegistry()))
			check(t, err)
			return []sdkmetric.Reader{r}
		}, counted: true},
		{name: "Prometheus with native histograms", readers: func(h *counted.Histograms) []sdkmetric.Reader {
			r, err := otelprometheus.New(otelprometheus.WithProducer(h.Producer(nil)), otelprometheus.WithRegisterer(prometheus.NewRegistry()),
				otelprometheus.WithAggregationSelector(exponential))
			check(t, err)
			return []sdkmetric.Reader{r}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env[0] != "" {
				t.Setenv(tt.env[0], tt.env[1])
			}
			h := counted.New()
			if tt.readers == nil {
				tt.readers = func(h *counted.Histograms) []sdkmetric.Reader {
					return []sdkmetric.Reader{newReader(h, metricdata.CumulativeTemporality)}
				}
			}
			readers := tt.readers(h)
			for _, r := range readers {
				tt.opts = append(tt.opts, sdkmetric.WithReader(r))
			}
			sdk := sdkmetric.NewMeterProvider(tt.opts...)
			defer func() { check(t, sdk.Shutdown(context.Background())) }()
			mp := h.Wrap(sdk)
			s := newSizes(mp)
			if got := s.registration != nil; got != tt.counted {
				t.Fatalf("the histogram is counted: %v, want %v", got, tt.counted)
			}
			if tt.counted {
				s.record(sampled, 7)
			} else { // like an instrumentation whose histogram is not accepted
				i, err := mp.Meter(scope).Int64Histogram(observed, histogramOptions()...)
				check(t, err)
				i.Record(sampled, 7)
			}
			for _, r := range readers {
				want := 1
				if tt.name == "a view that drops it" {
					want = 0
				}
				if all := collect(t, r); len(all) != want {
					t.Errorf("a reader has %d histograms: %v", len(all), all)
				}
			}
		})
	}
}

// Wrap does not change other types of MeterProvider.
func TestWrapOfOthers(t *testing.T) {
	h := counted.New()
	if mp := h.Wrap(nil); mp != nil {
		t.Errorf("of nil: %v", mp)
	}
	for _, mp := range []metric.MeterProvider{noop.NewMeterProvider(), (*sdkmetric.MeterProvider)(nil)} {
		if got := h.Wrap(mp); got != mp {
			t.Errorf("of %T: %T", mp, got)
		}
	}
	sdk := sdkmetric.NewMeterProvider()
	if h.Wrap(sdk) != h.Wrap(sdk) {
		t.Error("two wrapped providers of one differ")
	}
	if got := h.Wrap(sdk).(interface{ Unwrap() metric.MeterProvider }).Unwrap(); got != sdk {
		t.Errorf("the provider that was wrapped is %v", got)
	}
}

// Flushing and shutting down a wrapped provider does the same with the inner
// provider.
func TestShutdown(t *testing.T) {
	h := counted.New()
	r := newReader(h, metricdata.CumulativeTemporality)
	mp := h.Wrap(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
	check(t, mp.(interface{ ForceFlush(context.Context) error }).ForceFlush(context.Background()))
	check(t, mp.(interface{ Shutdown(context.Context) error }).Shutdown(context.Background()))
	var rm metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &rm); !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		t.Errorf("collected after Shutdown: %v", err)
	}
}

// errorsHandled holds the errors of the OpenTelemetry error handler, for the whole
// process.
var errorsHandled struct {
	sync.Mutex
	all []string
}

// A callback that fails or panics does not affect other callbacks, and keeps the
// values that it observed before.
func TestCallbacksInTrouble(t *testing.T) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		errorsHandled.Lock()
		defer errorsHandled.Unlock()
		errorsHandled.all = append(errorsHandled.all, err.Error())
	}))
	for name, trouble := range map[string]func() error{
		"error": func() error { return errors.New("no figure today") },
		"panic": func() error { panic("sensor on fire") },
	} {
		t.Run(name, func(t *testing.T) {
			h := counted.New()
			r := newReader(h, metricdata.CumulativeTemporality)
			mp := h.Wrap(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
			meter := mp.Meter(scope)
			int64s := metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error { o.Observe(1); return trouble() })
			float64s := metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error { o.Observe(1); return trouble() })
			_, err1 := meter.Int64ObservableCounter("a", int64s, metric.WithDescription("Described."))
			_, err2 := meter.Int64ObservableUpDownCounter("b", int64s)
			_, err3 := meter.Int64ObservableGauge("c", int64s)
			_, err4 := meter.Float64ObservableCounter("d", float64s)
			_, err5 := meter.Float64ObservableUpDownCounter("e", float64s)
			_, err6 := meter.Float64ObservableGauge("f", float64s)
			g, err7 := meter.Int64ObservableGauge("g")
			_, err8 := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error { o.ObserveInt64(g, 1); return trouble() }, g)
			check(t, errors.Join(err1, err2, err3, err4, err5, err6, err7, err8))
			newSizes(mp).record(sampled, 7)

			errorsHandled.all = nil
			all := collect(t, r)
			for _, want := range []string{"a", "b", "c", "d", "e", "f", "g", observed} {
				if all[want].Data == nil {
					t.Errorf("there is no %s", want)
				}
			}
			if all["a"].Description != "Described." {
				t.Errorf("a is described as %q", all["a"].Description)
			}
			if len(errorsHandled.all) != 7 {
				t.Errorf("%d errors were reported: %q", len(errorsHandled.all), errorsHandled.all)
			}
			if _, err := meter.RegisterCallback(nil, g); err == nil {
				t.Log("the SDK takes a nil callback")
			}
		})
	}
}
