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

// messageSeries is the series of messages of one attribute set.
type messageSeries struct {
	counts []*count.Traffic
	sizes  []sizeSeries // one, or one for each kind
	kinds  [count.Directions][]options
}

// sizeSeries is the series of message sizes of one attribute set.
type sizeSeries struct {
	attrs  attribute.Set
	record []metric.RecordOption

	// Nil if an instrument records the messages.
	exemplars [count.Directions]func(context.Context, int64)
}

// ofKind returns the series that messages of a kind are recorded in.
func (m *messageSeries) ofKind(kind int) *sizeSeries {
	if len(m.sizes) == 1 {
		return &m.sizes[0]
	}
	return &m.sizes[kind]
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

// histogram returns the counts of the series with index k in sizes.
func (m *messageSeries) histogram(d count.Direction, k int) *count.Histogram {
	if len(m.sizes) == 1 {
		return count.Messages(m.counts, d)
	}
	return count.MessagesOfKind(m.counts, d, k)
}
