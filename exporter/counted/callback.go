package counted

import (
	"context"
	"fmt"
	"runtime/debug"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// The methods below guard callbacks: the guard reports their errors and panics, and returns no
// error to the SDK. If any callback returned an error, the SDK would leave the data of producers
// out of that collection.

func (m *meter) RegisterCallback(f metric.Callback, instruments ...metric.Observable) (metric.Registration, error) {
	if f == nil {
		return m.Meter.RegisterCallback(f, instruments...)
	}
	return m.Meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		call(func() error { return f(ctx, o) })
		return nil
	}, instruments...)
}

func (m *meter) Int64ObservableCounter(name string, opts ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return m.Meter.Int64ObservableCounter(name, guardInt64(opts, func(o metric.Int64ObservableCounterOption) []metric.Int64Callback {
		return metric.NewInt64ObservableCounterConfig(o).Callbacks()
	})...)
}

func (m *meter) Int64ObservableUpDownCounter(name string, opts ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	return m.Meter.Int64ObservableUpDownCounter(name, guardInt64(opts, func(o metric.Int64ObservableUpDownCounterOption) []metric.Int64Callback {
		return metric.NewInt64ObservableUpDownCounterConfig(o).Callbacks()
	})...)
}

func (m *meter) Int64ObservableGauge(name string, opts ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return m.Meter.Int64ObservableGauge(name, guardInt64(opts, func(o metric.Int64ObservableGaugeOption) []metric.Int64Callback {
		return metric.NewInt64ObservableGaugeConfig(o).Callbacks()
	})...)
}

func (m *meter) Float64ObservableCounter(name string, opts ...metric.Float64ObservableCounterOption) (metric.Float64ObservableCounter, error) {
	return m.Meter.Float64ObservableCounter(name, guardFloat64(opts, func(o metric.Float64ObservableCounterOption) []metric.Float64Callback {
		return metric.NewFloat64ObservableCounterConfig(o).Callbacks()
	})...)
}

func (m *meter) Float64ObservableUpDownCounter(name string, opts ...metric.Float64ObservableUpDownCounterOption) (metric.Float64ObservableUpDownCounter, error) {
	return m.Meter.Float64ObservableUpDownCounter(name, guardFloat64(opts, func(o metric.Float64ObservableUpDownCounterOption) []metric.Float64Callback {
		return metric.NewFloat64ObservableUpDownCounterConfig(o).Callbacks()
	})...)
}

func (m *meter) Float64ObservableGauge(name string, opts ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return m.Meter.Float64ObservableGauge(name, guardFloat64(opts, func(o metric.Float64ObservableGaugeOption) []metric.Float64Callback {
		return metric.NewFloat64ObservableGaugeConfig(o).Callbacks()
	})...)
}

func guardInt64[O any](opts []O, callbacks func(O) []metric.Int64Callback) []O {
	return guard(opts, callbacks, func(f metric.Int64Callback) any {
		return metric.WithInt64Callback(func(ctx context.Context, o metric.Int64Observer) error {
			call(func() error { return f(ctx, o) })
			return nil
		})
	})
}

func guardFloat64[O any](opts []O, callbacks func(O) []metric.Float64Callback) []O {
	return guard(opts, callbacks, func(f metric.Float64Callback) any {
		return metric.WithFloat64Callback(func(ctx context.Context, o metric.Float64Observer) error {
			call(func() error { return f(ctx, o) })
			return nil
		})
	})
}

// guard returns opts, in which guarded callbacks replace the callbacks. An option that carries
// callbacks is valid for every observable instrument of its number type.
func guard[O, F any](opts []O, callbacks func(O) []F, guarded func(F) any) []O {
	var all []O
	for _, o := range opts {
		fs := callbacks(o)
		if len(fs) == 0 {
			all = append(all, o)
		}
		for _, f := range fs {
			all = append(all, guarded(f).(O))
		}
	}
	return all
}

// call calls a callback, and reports its error or panic to the error handler of OpenTelemetry.
func call(callback func() error) {
	defer func() {
		if p := recover(); p != nil {
			otel.Handle(fmt.Errorf("a callback of an observable instrument panicked: %v\n%s", p, debug.Stack()))
		}
	}()
	if err := callback(); err != nil {
		otel.Handle(err)
	}
}
