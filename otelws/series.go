package otelws

import (
	"context"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/count"
)

// options holds the API's options for one attribute set. They are slices, because the API's methods
// are variadic: a slice is passed on, and a single option would be allocated.
type options struct {
	observe []metric.ObserveOption
	record  []metric.RecordOption
}

func newOptions(attrs ...attribute.KeyValue) options {
	o := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return options{observe: []metric.ObserveOption{o}, record: []metric.RecordOption{o}}
}

// lazyOptions are created at first use, because most combinations never occur.
type lazyOptions struct{ atomic.Pointer[options] }

func (l *lazyOptions) get(attrs []attribute.KeyValue, more ...attribute.KeyValue) *options {
	if o := l.Load(); o != nil {
		return o
	}
	o := newOptions(slices.Concat(attrs, more)...)
	l.Store(&o)
	return &o
}

// combination records the connections with one combination of the application's attributes.
// Instruments without these attributes share one series.
type combination struct {
	opened atomic.Int64
	closed []atomic.Int64 // index: as in closeCodes.values

	attrs      []attribute.KeyValue
	lifecycle  options
	closedOpts []lazyOptions // index: as in closeCodes.values
	handshakes []lazyOptions // index: as in statuses

	durations     []lazyOptions // index: closeCodes.values, then Initiator
	durationAttrs []attribute.KeyValue
	counts        *count.Traffic
	messages      *messageSeries
	traffic       *trafficSeries
	heartbeat     *heartbeatSeries
}

// trafficSeries is the series of traffic for one attribute set.
type trafficSeries struct {
	counts     []*count.Traffic
	writeTimer count.WriteTimer

	frames [count.Directions][len(opcodes)]options
	io     [count.Directions]options
	write  options
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

// histogram returns the counts of the series with index k in sizes.
func (m *messageSeries) histogram(d count.Direction, k int) *count.Histogram {
	if len(m.sizes) == 1 {
		return count.Messages(m.counts, d)
	}
	return count.MessagesOfKind(m.counts, d, k)
}

type heartbeatSeries struct {
	missed atomic.Int64
	options
}

type protocolSeries struct {
	count atomic.Int64
	options
}

func newTrafficSeries(attrs []attribute.KeyValue) *trafficSeries {
	t := &trafficSeries{write: newOptions(attrs...)}
	for d, name := range directionNames {
		with := append(slices.Clip(attrs), keyDirection.String(name))
		t.io[d] = newOptions(with...)
		for i, o := range opcodes {
			t.frames[d][i] = newOptions(append(slices.Clip(with), keyOpcode.String(o))...)
		}
	}
	return t
}

// drainOptions are the options of the outcomes of a drain.
var drainOptions = [len(drainOutcomes)]options{
	newOptions(keyOutcome.String(drainOutcomes[drainClosed])),
	newOptions(keyOutcome.String(drainOutcomes[drainCut])),
}
