package otelws

import (
	"context"
	"errors"
	"math"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
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

	// Where the Meter observes histograms.
	shards    []messageShard
	next      atomic.Uint32
	exemplars [len(directions)]func(context.Context, int64)
}

// messageShard is to messages what a shard is to traffic.
type messageShard [len(directions)]sizes

// sizes is a histogram of message sizes. Its sum and its first buckets, which
// most messages take, fill a cache line.
type sizes struct {
	sum      atomic.Int64
	least    atomic.Int64 // since the last observation
	greatest atomic.Int64
	buckets  [len(sizeBounds) + 1]atomic.Uint64
	_        [40]byte
}

func newMessageSeries(attrs []attribute.KeyValue) *messageSeries {
	return &messageSeries{attrs: attribute.NewSet(attrs...), record: newOptions(attrs...).record}
}

func (m *messageSeries) count(shards int) {
	m.shards = make([]messageShard, shards)
	for i := range m.shards {
		for d := range m.shards[i] {
			m.shards[i][d].reset()
		}
	}
}

// counts returns where a connection counts its messages.
func (m *messageSeries) counts() (counts [len(directions)]*sizes) {
	if m.shards == nil {
		return counts
	}
	shard := &m.shards[m.next.Add(1)%uint32(len(m.shards))]
	for d := range counts {
		if m.exemplars[d] != nil {
			counts[d] = &shard[d]
		}
	}
	return counts
}

func (s *sizes) add(n int64) {
	i := 0
	for i < len(sizeBounds) && float64(n) > sizeBounds[i] {
		i++
	}
	s.buckets[i].Add(1)
	s.sum.Add(n)
	for {
		least := s.least.Load()
		if n >= least || s.least.CompareAndSwap(least, n) {
			break
		}
	}
	for {
		greatest := s.greatest.Load()
		if n <= greatest || s.greatest.CompareAndSwap(greatest, n) {
			break
		}
	}
}

// reset begins a new observation of the extremes, and returns them.
func (s *sizes) reset() (least, greatest int64) {
	return s.least.Swap(math.MaxInt64), s.greatest.Swap(math.MinInt64)
}

// observe yields the histogram of one direction.
func (m *messageSeries) observe(d direction, yield func(attribute.Set, []uint64, int64, int64, int64)) {
	var counts [len(sizeBounds) + 1]uint64
	var sum int64
	least, greatest := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range m.shards {
		s := &m.shards[i][d]
		for b := range s.buckets {
			counts[b] += s.buckets[b].Load()
		}
		sum += s.sum.Load()
		lo, hi := s.reset()
		least, greatest = min(least, lo), max(greatest, hi)
	}
	yield(m.attrs, counts[:], sum, least, greatest)
}

// newMessages makes the histograms of message sizes: where the meter observes
// histograms, out of what the series count, else as instruments of the API.
func (s *side) newMessages(meter metric.Meter) error {
	f := factory{role: s.role}
	observer, _ := meter.(histogramObserver)
	for d, def := range messageSizes {
		if observer != nil && s.observeMessages(observer, direction(d), def) {
			continue
		}
		s.instruments.messages[d] = create(&f, def, meter.Int64Histogram)
	}
	return errors.Join(f.errs...)
}

func (s *side) observeMessages(o histogramObserver, d direction, def definition) bool {
	exemplars, ok := o.ObservableInt64Histogram(def.name(s.role),
		func(yield func(attribute.Set, []uint64, int64, int64, int64)) {
			for _, m := range s.messages {
				m.observe(d, yield)
			}
		},
		metric.WithUnit(def.unit),
		metric.WithDescription(def.description),
		metric.WithExplicitBucketBoundaries(def.bounds...),
	)
	if !ok {
		return false
	}
	for _, m := range s.messages {
		if m.shards == nil {
			m.count(shardsFor(len(s.messages)))
		}
		m.exemplars[d] = exemplars(m.attrs)
	}
	return true
}
