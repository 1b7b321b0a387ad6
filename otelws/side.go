package otelws

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/count"
)

// side records all connections of one role: accepted or dialed.
type side struct {
	in          *Instrumentation
	role        role
	instruments *instruments
	codes       *closeCodes
	enums       []*enum

	// For each direction; nil if an instrument records the messages.
	exemplars       [count.Directions]func(attribute.Set) func(context.Context, int64)
	recordsMessages bool                  // an instrument records the messages
	registrations   []metric.Registration // of the counted histograms

	// The following fields are created by use, and exist if inUse is true.
	useOnce sync.Once
	inUse   atomic.Bool

	combinations []*combination // of the application's attributes; see attributes

	drained [len(drainOutcomes)]atomic.Int64
	tcp     tcpCounts
	idle    [len(idleCodes)][len(initiators)]lazyOptions

	counts    []*count.Traffic
	traffic   []*trafficSeries
	messages  []*messageSeries
	heartbeat []*heartbeatSeries
	protocol  []protocolSeries // index: as in errorTypes
}

func newSide(i *Instrumentation, meter metric.Meter, r role) (*side, error) {
	cfg := i.config
	instruments, err := newInstruments(meter, r, cfg)
	if err != nil {
		return nil, err
	}
	s := &side{
		in:          i,
		role:        r,
		instruments: instruments,
		codes:       cfg.codes,
		enums:       enumsOf(r, cfg.enums),
	}
	return s, s.newMessages(meter)
}

// use creates the counters of the side, once. For dialed connections it is called only when there
// may be some, because most servers dial none.
func (s *side) use() {
	s.useOnce.Do(func() {
		s.protocol = make([]protocolSeries, len(errorTypes))
		for i, name := range errorTypes {
			s.protocol[i].options = newOptions(keyErrorType.String(name))
		}
		// If an instrument carries all attributes, a series without attributes would be a phantom,
		// so it is created only if an instrument uses it.
		groups := s.in.config.groups
		shared := s.newCombination(nil, allGroups&^groups, nil)
		n := 1
		for _, e := range s.enums {
			n *= len(e.values)
		}
		for i := range n {
			s.combinations = append(s.combinations, s.newCombination(s.attributes(i), groups, shared))
		}
		s.newCounts(shared, groups)
		s.inUse.Store(true)
	})
}

// declares reports whether SetAttribute may set the attribute key.
func (s *side) declares(key attribute.Key) bool {
	return slices.ContainsFunc(s.enums, func(e *enum) bool { return e.settable && e.key == key })
}

// newCounts gives each combination its counters. Combinations that no instrument distinguishes
// share counters.
func (s *side) newCounts(shared *combination, groups InstrumentGroup) {
	own := s.combinations
	if groups&(TrafficInstruments|MessageInstruments) == 0 {
		own = []*combination{shared}
	}
	for _, c := range own {
		c.counts = count.NewTraffic(s.role == server, count.ShardsFor(len(own)))
		c.traffic.counts = append(c.traffic.counts, c.counts)
		c.messages.counts = append(c.messages.counts, c.counts)
		s.counts = append(s.counts, c.counts)
		if cfg := s.in.config; cfg.kinds != nil {
			c.counts.CountKinds(len(cfg.kindNames()), cfg.sizesByKind, len(own))
		}
	}
	for _, c := range s.combinations {
		c.counts = cmp.Or(c.counts, shared.counts)
	}
}

// newCombination returns the combination with attrs. Instruments without the application's
// attributes have their series in shared.
func (s *side) newCombination(attrs []attribute.KeyValue, groups InstrumentGroup, shared *combination) *combination {
	n := len(s.codes.values)
	c := &combination{
		closed:     make([]atomic.Int64, n),
		attrs:      attrs,
		lifecycle:  newOptions(attrs...),
		closedOpts: make([]lazyOptions, n),
		handshakes: make([]lazyOptions, len(statuses)),
	}
	if shared != nil {
		c.durations, c.durationAttrs = shared.durations, shared.durationAttrs
		c.messages, c.traffic, c.heartbeat = shared.messages, shared.traffic, shared.heartbeat
	}
	if groups&DurationInstruments != 0 {
		c.durations, c.durationAttrs = make([]lazyOptions, n*len(initiators)), attrs
	}
	if groups&MessageInstruments != 0 {
		c.messages = s.newMessageSeries(attrs)
		s.messages = append(s.messages, c.messages)
	}
	if groups&HeartbeatInstruments != 0 {
		c.heartbeat = &heartbeatSeries{options: newOptions(attrs...)}
		s.heartbeat = append(s.heartbeat, c.heartbeat)
	}
	if groups&TrafficInstruments != 0 {
		c.traffic = newTrafficSeries(attrs)
		s.traffic = append(s.traffic, c.traffic)
	}
	return c
}

// attributes returns the attributes of the combination with index i. The last enumeration varies
// fastest.
func (s *side) attributes(i int) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, len(s.enums))
	for k := len(s.enums) - 1; k >= 0; k-- {
		e := s.enums[k]
		attrs[k] = e.key.String(e.values[i%len(e.values)])
		i /= len(e.values)
	}
	return attrs
}

// observe reports all observable instruments of the side.
func (s *side) observe(o metric.Observer) {
	if !s.inUse.Load() {
		return
	}
	for _, c := range s.combinations {
		s.observeLifecycle(o, c)
	}
	for _, t := range s.traffic {
		s.observeTraffic(o, t)
	}
	for _, m := range s.messages {
		s.observeKinds(o, m)
	}
	for _, h := range s.heartbeat {
		o.ObserveInt64(s.instruments.missed, h.missed.Load(), h.observe...)
	}
	if in := s.instruments; in.tcpRetransmits != nil {
		o.ObserveInt64(in.tcpRetransmits, s.tcp.retransmits.Load())
		o.ObserveInt64(in.tcpUnsent, s.unsent())
	}
	for i := range s.drained {
		o.ObserveInt64(s.instruments.drain, s.drained[i].Load(), drainOptions[i].observe...)
	}
	for i := range s.protocol {
		p := &s.protocol[i]
		o.ObserveInt64(s.instruments.protocol, p.count.Load(), p.observe...)
	}
}

// observeLifecycle reports opened, closed and active from the same loads. It loads closed first, so
// that active is never negative, and opened = active + sum(closed) holds in every collection.
func (s *side) observeLifecycle(o metric.Observer, c *combination) {
	closed := make([]int64, len(c.closed))
	var sum int64
	for i := range c.closed {
		closed[i] = c.closed[i].Load()
		sum += closed[i]
	}
	opened := c.opened.Load()

	o.ObserveInt64(s.instruments.opened, opened, c.lifecycle.observe...)
	o.ObserveInt64(s.instruments.active, opened-sum, c.lifecycle.observe...)
	for i, n := range closed {
		if n > 0 || s.codes.reported[i] {
			opts := c.closedOpts[i].get(c.attrs, keyCode.String(s.codes.values[i]))
			o.ObserveInt64(s.instruments.closed, n, opts.observe...)
		}
	}
}

func (s *side) observeTraffic(o metric.Observer, t *trafficSeries) {
	sum := count.Sum(t.counts)
	for d := range count.Directions {
		o.ObserveInt64(s.instruments.io, sum.Bytes[d], t.io[d].observe...)
		if s.in.config.decoded {
			o.ObserveInt64(s.instruments.compressionWire, sum.Wire[d], t.io[d].observe...)
			o.ObserveInt64(s.instruments.compressionDecoded, sum.Decoded[d], t.io[d].observe...)
		}
		for op := range opcodes {
			o.ObserveInt64(s.instruments.frames, sum.Frames[d][op], t.frames[d][op].observe...)
		}
	}
	o.ObserveFloat64(s.instruments.write, t.writeTimer.Of(t.counts).Seconds(), t.write.observe...)
}

// hasExemplars reports whether messages are offered as exemplars of counted histograms.
func (s *side) hasExemplars() bool {
	return slices.ContainsFunc(s.exemplars[:], func(f func(attribute.Set) func(context.Context, int64)) bool { return f != nil })
}
