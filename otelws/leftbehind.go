package otelws

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
)

// leftBehind holds the last values of closed Instrumentations' observable instruments.
type leftBehind struct{ sides [2]leftSide } // by role

type leftSide struct {
	instruments []metric.Observable // instruments of a closed Instrumentation, in the order of observables
	values      map[leftSeries]*leftValue
}

type leftSeries struct {
	instrument int // index in instruments
	attrs      attribute.Distinct
}

type leftValue struct {
	observe  []metric.ObserveOption
	integer  int64
	floating float64
}

// take adds the current values of a side.
func (l *leftBehind) take(s *side) {
	to := &l.sides[s.role]
	if to.values == nil {
		to.instruments, to.values = s.instruments.observables(), make(map[leftSeries]*leftValue)
	}
	places := make(map[metric.Observable]int)
	for place, instrument := range s.instruments.observables() {
		places[instrument] = place
	}
	s.observe(&leftObserver{to: to, places: places})
}

// observe reports the kept values.
func (l *leftBehind) observe(o metric.Observer) {
	for _, side := range l.sides {
		for of, v := range side.values {
			switch instrument := side.instruments[of.instrument].(type) {
			case metric.Int64Observable:
				o.ObserveInt64(instrument, v.integer, v.observe...)
			case metric.Float64Observable:
				o.ObserveFloat64(instrument, v.floating, v.observe...)
			}
		}
	}
}

// leftObserver adds observed values to the kept values.
type leftObserver struct {
	embedded.Observer
	to     *leftSide
	places map[metric.Observable]int
}

func (o *leftObserver) at(instrument metric.Observable, opts []metric.ObserveOption) *leftValue {
	attrs := metric.NewObserveConfig(opts).Attributes()
	key := leftSeries{o.places[instrument], attrs.Equivalent()}
	v := o.to.values[key]
	if v == nil {
		v = &leftValue{observe: opts}
		o.to.values[key] = v
	}
	return v
}

func (o *leftObserver) ObserveInt64(instrument metric.Int64Observable, n int64, opts ...metric.ObserveOption) {
	o.at(instrument, opts).integer += n
}

func (o *leftObserver) ObserveFloat64(instrument metric.Float64Observable, n float64, opts ...metric.ObserveOption) {
	o.at(instrument, opts).floating += n
}
