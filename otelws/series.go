package otelws

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// role says which end of its connections a side is.
type role uint8

const (
	server role = iota
	client
)

// side is everything that is recorded of accepted, or else of dialed,
// connections.
type side struct {
	in          *Instrumentation
	role        role
	instruments *instruments
	codes       *closeCodes
	enums       []*enum

	// Of messages in each direction: nil where an instrument records them.
	exemplars       [len(directions)]func(attribute.Set) func(context.Context, int64)
	recordsMessages bool // by an instrument

	// What follows is made by use, and is there once inUse says so.
	useOnce sync.Once
	inUse   atomic.Bool

	// sets has a place for each combination of the application's attributes.
	sets []*set

	tallies   []*tally
	traffic   []*trafficSeries
	messages  []*messageSeries
	heartbeat []*heartbeatSeries
	protocol  []protocolSeries // by frame.Error
}

// set is what is recorded under one combination of the application's
// attributes. Instruments that do not carry these have one series in all sets.
type set struct {
	opened atomic.Int64
	closed []atomic.Int64 // by place in closeCodes.values

	attrs      []attribute.KeyValue
	lifecycle  options
	closedOpts []lazyOptions // by place in closeCodes.values
	handshakes []lazyOptions // by place in statuses

	durations     []lazyOptions // by place in closeCodes.values, then by Initiator
	durationAttrs []attribute.KeyValue
	tally         *tally
	messages      *messageSeries
	traffic       *trafficSeries
	heartbeat     *heartbeatSeries
}

// trafficSeries is the series of traffic of one attribute set.
type trafficSeries struct {
	tallies    []*tally
	writeTimer writeTimer

	frames [len(directions)][len(opcodes)]options
	io     [len(directions)]options
	write  options
}

type heartbeatSeries struct {
	missed atomic.Int64
	options
}

type protocolSeries struct {
	count atomic.Int64
	options
}

// options are those of one attribute set. They are slices because the API's
// methods pass a slice on as it is, where a single option costs an allocation.
type options struct {
	observe []metric.ObserveOption
	record  []metric.RecordOption
}

func newOptions(attrs ...attribute.KeyValue) options {
	o := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return options{observe: []metric.ObserveOption{o}, record: []metric.RecordOption{o}}
}

// lazyOptions are made at first use, since most combinations never occur.
type lazyOptions struct{ atomic.Pointer[options] }

func (l *lazyOptions) get(attrs []attribute.KeyValue, more ...attribute.KeyValue) *options {
	if o := l.Load(); o != nil {
		return o
	}
	o := newOptions(slices.Concat(attrs, more)...)
	l.Store(&o)
	return &o
}

func newSide(of *Instrumentation, meter metric.Meter, r role) (*side, error) {
	cfg := of.config
	in, err := newInstruments(meter, r, cfg.decoded)
	if err != nil {
		return nil, err
	}
	s := &side{
		in:          of,
		role:        r,
		instruments: in,
		codes:       cfg.codes,
		enums:       enumsOf(r, cfg.enums),
	}
	if err := s.newMessages(meter); err != nil {
		return nil, err
	}
	_, err = meter.RegisterCallback(s.observe, in.observables()...)
	return s, err
}

// use makes what the side counts in, once: for dialed connections only where
// there can be any, since most servers dial none.
func (s *side) use() {
	s.useOnce.Do(func() {
		s.protocol = make([]protocolSeries, len(frame.Errors)+1)
		for _, e := range frame.Errors {
			s.protocol[e].options = newOptions(keyErrorType.String(e.String()))
		}
		// Where an instrument carries the attributes of every set, the series
		// without them would be a phantom: it is made only where it is used.
		groups := s.in.config.groups
		shared := s.newSet(nil, everywhere&^groups, nil)
		n := 1
		for _, e := range s.enums {
			n *= len(e.values)
		}
		for i := range n {
			s.sets = append(s.sets, s.newSet(s.attributes(i), groups, shared))
		}
		s.newTallies(shared, groups)
		s.inUse.Store(true)
	})
}

// settable says whether there is an attribute that Set may give its value.
func (s *side) settable() bool {
	return slices.ContainsFunc(s.enums, func(e *enum) bool { return e.settable })
}

// declares says whether there is an attribute key that Set may give its value.
func (s *side) declares(key attribute.Key) bool {
	return slices.ContainsFunc(s.enums, func(e *enum) bool { return e.settable && e.key == key })
}

// newTallies gives each set its tally: that of the series which it counts for.
func (s *side) newTallies(shared *set, groups Group) {
	add := func(t *set) {
		t.tally = newTally(s.role)
		t.traffic.tallies = append(t.traffic.tallies, t.tally)
		t.messages.tallies = append(t.messages.tallies, t.tally)
		s.tallies = append(s.tallies, t.tally)
	}
	if groups&(Traffic|Messages) == 0 {
		add(shared)
	}
	for _, t := range s.sets {
		if t.tally = shared.tally; t.tally == nil {
			add(t)
		}
	}
	for _, t := range s.tallies {
		t.makeShards(shardsFor(len(s.tallies)))
	}
}

// newSet returns the set of attrs. Those instruments that do not carry the
// application's attributes have their series in shared.
func (s *side) newSet(attrs []attribute.KeyValue, groups Group, shared *set) *set {
	n := len(s.codes.values)
	t := &set{
		closed:     make([]atomic.Int64, n),
		attrs:      attrs,
		lifecycle:  newOptions(attrs...),
		closedOpts: make([]lazyOptions, n),
		handshakes: make([]lazyOptions, len(statuses)),
	}
	if shared != nil {
		t.durations, t.durationAttrs = shared.durations, shared.durationAttrs
		t.messages, t.traffic, t.heartbeat = shared.messages, shared.traffic, shared.heartbeat
	}
	if groups&Durations != 0 {
		t.durations, t.durationAttrs = make([]lazyOptions, n*len(initiators)), attrs
	}
	if groups&Messages != 0 {
		t.messages = s.newMessageSeries(attrs)
		s.messages = append(s.messages, t.messages)
	}
	if groups&Heartbeats != 0 {
		t.heartbeat = &heartbeatSeries{options: newOptions(attrs...)}
		s.heartbeat = append(s.heartbeat, t.heartbeat)
	}
	if groups&Traffic != 0 {
		t.traffic = newTrafficSeries(attrs)
		s.traffic = append(s.traffic, t.traffic)
	}
	return t
}

func newTrafficSeries(attrs []attribute.KeyValue) *trafficSeries {
	t := &trafficSeries{write: newOptions(attrs...)}
	for d, name := range directions {
		with := append(slices.Clip(attrs), keyDirection.String(name))
		t.io[d] = newOptions(with...)
		for i, o := range opcodes {
			t.frames[d][i] = newOptions(append(slices.Clip(with), keyOpcode.String(o.name))...)
		}
	}
	return t
}

// attributes returns the application's attributes of the set at place i, in
// which the last enumeration varies fastest.
func (s *side) attributes(i int) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, len(s.enums))
	for k := len(s.enums) - 1; k >= 0; k-- {
		e := s.enums[k]
		attrs[k] = e.key.String(e.values[i%len(e.values)])
		i /= len(e.values)
	}
	return attrs
}

// setOf returns the set of the connection, or the failed handshake, of h.
func (s *side) setOf(h *handshake) *set {
	i := 0
	for _, e := range s.enums {
		i = i*len(e.values) + e.evaluate(h)
	}
	return s.sets[i]
}

// observe is the callback of all observable instruments of the side. It
// returns no error, since one would drop other producers' data from the scrape.
func (s *side) observe(_ context.Context, o metric.Observer) error {
	if !s.inUse.Load() {
		return nil
	}
	for _, t := range s.sets {
		s.observeLifecycle(o, t)
	}
	for _, t := range s.traffic {
		s.observeTraffic(o, t)
	}
	for _, h := range s.heartbeat {
		o.ObserveInt64(s.instruments.missed, h.missed.Load(), h.observe...)
	}
	for _, e := range frame.Errors {
		p := &s.protocol[e]
		o.ObserveInt64(s.instruments.protocol, p.count.Load(), p.observe...)
	}
	return nil
}

// observeLifecycle reports opened, closed and active from the same loads:
// what is closed is loaded first, so that active is never negative and
// opened = active + sum(closed) holds in every collection.
func (s *side) observeLifecycle(o metric.Observer, t *set) {
	closed := make([]int64, len(t.closed))
	var sum int64
	for i := range t.closed {
		closed[i] = t.closed[i].Load()
		sum += closed[i]
	}
	opened := t.opened.Load()

	o.ObserveInt64(s.instruments.opened, opened, t.lifecycle.observe...)
	o.ObserveInt64(s.instruments.active, opened-sum, t.lifecycle.observe...)
	for i, n := range closed {
		if n > 0 || s.codes.reported[i] {
			opts := t.closedOpts[i].get(t.attrs, keyCode.String(s.codes.values[i]))
			o.ObserveInt64(s.instruments.closed, n, opts.observe...)
		}
	}
}

func (s *side) observeTraffic(o metric.Observer, t *trafficSeries) {
	sum := trafficOf(t.tallies)
	for d := range directions {
		o.ObserveInt64(s.instruments.io, sum.bytes[d], t.io[d].observe...)
		if s.instruments.compressionWire != nil {
			o.ObserveInt64(s.instruments.compressionWire, sum.wire[d], t.io[d].observe...)
			o.ObserveInt64(s.instruments.compressionDecoded, sum.decoded[d], t.io[d].observe...)
		}
		for op := range opcodes {
			o.ObserveInt64(s.instruments.frames, sum.frames[d][op], t.frames[d][op].observe...)
		}
	}
	o.ObserveFloat64(s.instruments.write, t.writeTimer.of(t.tallies).Seconds(), t.write.observe...)
}
