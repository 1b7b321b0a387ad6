package otelws_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelws/otelws-go/otelws"
)

// ownProvider is a MeterProvider that the application has implemented.
type ownProvider struct {
	embedded.MeterProvider
	meter func() metric.Meter
}

func (p ownProvider) Meter(string, ...metric.MeterOption) metric.Meter { return p.meter() }

// ownMeter is a Meter that creates histograms with histogram, and registers callbacks with register,
// unless these are nil.
type ownMeter struct {
	noop.Meter
	histogram func() (metric.Float64Histogram, error)
	register  func() (metric.Registration, error)
}

func (m ownMeter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	if m.histogram == nil {
		return m.Meter.Float64Histogram(name, opts...)
	}
	return m.histogram()
}

func (m ownMeter) RegisterCallback(f metric.Callback, of ...metric.Observable) (metric.Registration, error) {
	if m.register == nil {
		return m.Meter.RegisterCallback(f, of...)
	}
	return m.register()
}

func ofMeter(m metric.Meter) metric.MeterProvider {
	return ownProvider{meter: func() metric.Meter { return m }}
}

// New returns an error for every MeterProvider that it cannot use.
func TestNewWithBrokenProvider(t *testing.T) {
	for name, tt := range map[string]struct {
		provider metric.MeterProvider
		want     string
	}{
		"nil of the SDK":       {(*sdkmetric.MeterProvider)(nil), "the MeterProvider panicked"},
		"Meter panics":         {ownProvider{meter: func() metric.Meter { panic("no") }}, "the MeterProvider panicked: no"},
		"no Meter":             {ofMeter(nil), "the MeterProvider panicked"},
		"no histogram":         {ofMeter(ownMeter{histogram: func() (metric.Float64Histogram, error) { return nil, nil }}), "ws.handshake.duration: the MeterProvider returned nil"},
		"a histogram's error":  {ofMeter(ownMeter{histogram: func() (metric.Float64Histogram, error) { return nil, errors.New("full") }}), "ws.handshake.duration: full"},
		"a histogram panics":   {ofMeter(ownMeter{histogram: func() (metric.Float64Histogram, error) { panic("no") }}), "the MeterProvider panicked: no"},
		"registration panics":  {ofMeter(ownMeter{register: func() (metric.Registration, error) { panic("no") }}), "the MeterProvider panicked: no"},
		"a registration fails": {ofMeter(ownMeter{register: func() (metric.Registration, error) { return nil, errors.New("full") }}), "failed to register a callback: full"},
	} {
		for range 2 { // the first call must leave nothing locked
			ws, err := otelws.New(otelws.WithMeterProvider(tt.provider))
			if ws != nil || err == nil || !strings.HasPrefix(err.Error(), "otelws: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: New returned %v, %v; want an error with %q", name, ws, err, tt.want)
			}
		}
	}
}

// panickingHistogram panics in Record.
type panickingHistogram struct{ noop.Float64Histogram }

func (panickingHistogram) Record(context.Context, float64, ...metric.RecordOption) { panic("no") }

// If the instruments panic, the measurements are lost, and the application goes on.
func TestMeasurementsPanic(t *testing.T) {
	ws, err := otelws.New(otelws.WithMeterProvider(ofMeter(ownMeter{
		histogram: func() (metric.Float64Histogram, error) { return panickingHistogram{}, nil },
	})))
	if err != nil {
		t.Fatal(err)
	}
	visit(t, serve(t, ws.Handler(echo)))
	recorder := httptest.NewRecorder()
	ws.Handler(http.NotFoundHandler()).ServeHTTP(recorder, upgrade())
	if recorder.Code != http.StatusNotFound {
		t.Errorf("the server answers with status %d, want 404", recorder.Code)
	}
	_, err = ws.Transport(roundTripperFunc(func(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed })).RoundTrip(upgrade())
	if err != http.ErrServerClosed {
		t.Errorf("RoundTrip returned %v, want the error of the base", err)
	}
	if err := ws.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ws.Close(); err != nil {
		t.Error(err)
	}
}

// observingMeter is a Meter that observes histograms, and counts those that are registered.
type observingMeter struct {
	ownMeter
	registered *int
}

func (m observingMeter) ObservableInt64Histogram(
	string, func(yield func(attribute.Set, []uint64, int64, int64, int64)), ...metric.Int64HistogramOption,
) (func(attribute.Set) func(context.Context, int64), metric.Registration) {
	*m.registered++
	return func(attribute.Set) func(context.Context, int64) { return nil }, observed{registered: m.registered}
}

type observed struct {
	noop.Registration
	registered *int
}

func (o observed) Unregister() error {
	*o.registered--
	return nil
}

// A New that failed leaves no histogram that is observed.
func TestFailedNewUnregisters(t *testing.T) {
	registered := 0
	m := observingMeter{ownMeter{register: func() (metric.Registration, error) {
		if registered == 0 {
			t.Error("New registered no histogram")
		}
		return nil, errors.New("full")
	}}, &registered}
	if _, err := otelws.New(otelws.WithMeterProvider(ofMeter(m))); err == nil {
		t.Fatal("New accepted a MeterProvider that refuses the callback")
	}
	if registered != 0 {
		t.Errorf("%d histograms are still observed", registered)
	}
}

// A New that failed leaves the budget as it was.
func TestPanicLeavesBudget(t *testing.T) {
	panics := true
	p := &ownProvider{meter: func() metric.Meter {
		return ownMeter{register: func() (metric.Registration, error) {
			if panics {
				panic("no")
			}
			return noop.Registration{}, nil
		}}
	}}
	most := otelws.WithSeriesBudget(budget(t, tenants(0)))
	if _, err := otelws.New(tenants(0), most, otelws.WithMeterProvider(p)); err == nil {
		t.Fatal("New accepted a MeterProvider that panics")
	}
	panics = false
	ws, err := otelws.New(tenants(1), most, otelws.WithMeterProvider(p))
	if err != nil {
		t.Fatal(err)
	}
	_ = ws.Close()
}
