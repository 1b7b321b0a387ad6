package otelws

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/count"
)

// histogramObserver is a Meter that reads a histogram from whoever counts it,
// which no API has a method for: that of this project's exporter, told by its
// signature. With any other, messages are recorded by ordinary instruments.
type histogramObserver interface {
	ObservableInt64Histogram(
		name string,
		observe func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64)),
		opts ...metric.Int64HistogramOption,
	) (exemplars func(attribute.Set) func(ctx context.Context, value int64), ok bool)
}

// messageSeries is the series of message sizes of one attribute set.
type messageSeries struct {
	attrs  attribute.Set
	record []metric.RecordOption
	counts []*count.Traffic

	// Nil where an instrument records the messages.
	exemplars [count.Directions]func(context.Context, int64)
}

func (s *side) newMessageSeries(attrs []attribute.KeyValue) *messageSeries {
	m := &messageSeries{attrs: attribute.NewSet(attrs...), record: newOptions(attrs...).record}
	for d, of := range s.exemplars {
		if of != nil {
			m.exemplars[d] = of(m.attrs)
		}
	}
	return m
}

// newMessages makes the histograms of message sizes: where the meter observes
// histograms, out of what the series count, else as instruments of the API.
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
	exemplars, ok := o.ObservableInt64Histogram(def.name(s.role),
		func(yield func(attribute.Set, []uint64, int64, int64, int64)) {
			if !s.inUse.Load() {
				return
			}
			for _, m := range s.messages {
				h := count.Messages(m.counts, d)
				yield(m.attrs, h.Counts[:], h.Sum, h.Least, h.Greatest)
			}
		},
		metric.WithUnit(def.unit),
		metric.WithDescription(def.description),
		metric.WithExplicitBucketBoundaries(def.bounds...),
	)
	if ok {
		s.exemplars[d] = exemplars
	}
	return ok
}
