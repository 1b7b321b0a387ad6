package otelws

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/count"
)

// histogramObserver is a Meter that reads histograms which instrumentation counts by itself, such
// as package exporter/counted. The API has no such method, so it is recognised by its signature.
// With other Meters, ordinary instruments record the messages.
type histogramObserver interface {
	ObservableInt64Histogram(
		name string,
		observe func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64)),
		opts ...metric.Int64HistogramOption,
	) (exemplars func(attribute.Set) func(ctx context.Context, value int64), registration metric.Registration)
}

func (s *side) newMessageSeries(attrs []attribute.KeyValue) *messageSeries {
	cfg := s.in.config
	m := &messageSeries{kinds: newKindOptions(attrs, cfg.kindNames())}
	if !cfg.sizesByKind {
		m.sizes = []sizeSeries{s.newSizeSeries(attrs...)}
		return m
	}
	for _, kind := range cfg.kindNames() {
		m.sizes = append(m.sizes, s.newSizeSeries(append(attrs[:len(attrs):len(attrs)], keyKind.String(kind))...))
	}
	return m
}

func (s *side) newSizeSeries(attrs ...attribute.KeyValue) sizeSeries {
	z := sizeSeries{attrs: attribute.NewSet(attrs...), record: newOptions(attrs...).record}
	for d, of := range s.exemplars {
		if of != nil {
			z.exemplars[d] = of(z.attrs)
		}
	}
	return z
}

// newMessages makes the histograms of message sizes. If the meter can observe histograms, it
// observes the counts of the series. Otherwise, ordinary instruments record the messages.
func (s *side) newMessages(meter metric.Meter) error {
	f := factory{role: s.role}
	observer, _ := meter.(histogramObserver)
	for d, def := range messageSizes {
		if observer != nil && s.observeMessages(observer, count.Direction(d), def) {
			continue
		}
		s.instruments.messages[d] = create(&f, def, meter.Int64Histogram)
		s.recordsMessages = true
	}
	return errors.Join(f.errs...)
}

func (s *side) observeMessages(o histogramObserver, d count.Direction, def definition) bool {
	exemplars, registration := o.ObservableInt64Histogram(def.name(s.role),
		func(yield func(attribute.Set, []uint64, int64, int64, int64)) {
			if !s.inUse.Load() {
				return
			}
			for _, m := range s.messages {
				for k := range m.sizes {
					h := m.histogram(d, k)
					yield(m.sizes[k].attrs, h.Counts[:], h.Sum, h.Least, h.Greatest)
				}
			}
		},
		metric.WithUnit(def.unit),
		metric.WithDescription(def.description),
		metric.WithExplicitBucketBoundaries(def.bounds...),
	)
	if registration == nil {
		return false
	}
	s.exemplars[d] = exemplars
	s.registrations = append(s.registrations, registration)
	return true
}

// unregister stops the observation of the histograms. s may be nil.
func (s *side) unregister() {
	if s == nil {
		return
	}
	for _, r := range s.registrations {
		_ = r.Unregister() // a counted histogram returns no error
	}
}

// newKindOptions returns the options of the counters by kind, for a series of messages with attrs.
func newKindOptions(attrs []attribute.KeyValue, kinds []string) (all [count.Directions][]options) {
	for d, direction := range directionNames {
		for _, kind := range kinds {
			all[d] = append(all[d], newOptions(append(attrs[:len(attrs):len(attrs)],
				keyDirection.String(direction), keyKind.String(kind))...))
		}
	}
	return all
}

// observeKinds reports the counters by kind.
func (s *side) observeKinds(o metric.Observer, m *messageSeries) {
	for d, kinds := range m.kinds {
		if len(kinds) == 0 {
			return
		}
		for k, sum := range count.KindsOf(m.counts, count.Direction(d), len(kinds)) {
			o.ObserveInt64(s.instruments.messagesByKind, sum.Messages, kinds[k].observe...)
			o.ObserveInt64(s.instruments.messagesSizeByKind, sum.Bytes, kinds[k].observe...)
		}
	}
}
