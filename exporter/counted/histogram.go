package counted

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
)

// Histograms are the counted histograms of one MeterProvider and the producers of its readers. The methods are safe
// for concurrent use.
type Histograms struct {
	mu         sync.Mutex
	producers  []*producer
	histograms []*histogram
}

// New returns Histograms that have neither a producer nor a histogram yet.
func New() *Histograms { return new(Histograms) }

// observe yields, for each attribute set, what has been recorded under it: how many values fell in each bucket and
// their sum since the beginning, and the least and the greatest value since the last call, which are in the wrong
// order where there was none. Calls never overlap. counts is the caller's again when yield returns.
type observe = func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64))

// histogram is one instrument, which several may observe.
type histogram struct {
	identity
	bounds    []float64
	since     time.Time
	observers []*observer
	points    map[attribute.Distinct]*point
	order     []*point
}

// observer is one registration of a histogram.
type observer struct{ observe observe }

// identity is what the SDK tells instruments apart by.
type identity struct {
	scope                   instrumentation.Scope
	name, description, unit string
}

// point is one attribute set of a histogram.
type point struct {
	attrs attribute.Set
	total // of all observers
	past  total
	ever  extremes
	due   []due // by producer

	reservoirs atomic.Pointer[[]exemplar.Reservoir] // by producer
}

// total is how many values fell in each bucket, and their sum.
type total struct {
	counts []uint64
	sum    int64
}

func newTotal(bounds []float64) total { return total{counts: make([]uint64, len(bounds)+1)} }

func (t *total) set(to total) {
	copy(t.counts, to.counts)
	t.sum = to.sum
}

func (t *total) add(counts []uint64, sum int64) {
	for i, n := range counts {
		t.counts[i] += n
	}
	t.sum += sum
}

// due is what a producer that reports deltas has reported of a point, and the extremes that it has not.
type due struct {
	reported total
	extremes extremes
}

type extremes struct {
	least, greatest int64
	set             bool
}

func (e *extremes) add(least, greatest int64) {
	switch {
	case least > greatest:
	case !e.set:
		*e = extremes{least, greatest, true}
	default:
		e.least, e.greatest = min(e.least, least), max(e.greatest, greatest)
	}
}

// register adds a histogram with the given bucket bounds, or one more observer of a histogram that is there already.
// ok is false where that has other bounds.
func (h *Histograms) register(id identity, bounds []float64, f observe) (_ *registration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.histograms, func(of *histogram) bool { return of.identity == id })
	if i < 0 {
		i = len(h.histograms)
		h.histograms = append(h.histograms, &histogram{
			identity: id,
			bounds:   slices.Clone(bounds),
			since:    time.Now(),
			points:   make(map[attribute.Distinct]*point),
		})
	}
	of := h.histograms[i]
	if !slices.Equal(of.bounds, bounds) {
		return nil, false
	}
	o := &observer{f}
	of.observers = append(of.observers, o)
	return &registration{all: h, histogram: of, observer: o}, true
}

// unregister has an observer count no longer. What it has counted stays in the histogram, which would go backwards
// otherwise, until that has no observer left.
func (h *Histograms) unregister(from *histogram, o *observer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(from.observers, o)
	if i < 0 {
		return
	}
	o.observe(func(attrs attribute.Set, counts []uint64, sum, least, greatest int64) {
		p := h.at(from, attrs)
		p.past.add(counts, sum)
		p.notice(least, greatest)
	})
	from.observers = slices.Delete(from.observers, i, i+1)
	if len(from.observers) == 0 {
		h.histograms = slices.DeleteFunc(h.histograms, func(of *histogram) bool { return of == from })
	}
}

// at returns the point of attrs. It is called with the lock held.
func (h *Histograms) at(of *histogram, attrs attribute.Set) *point {
	key := attrs.Equivalent()
	if p := of.points[key]; p != nil {
		return p
	}
	p := &point{attrs: attrs, total: newTotal(of.bounds), past: newTotal(of.bounds)}
	p.serve(len(h.producers), of.bounds)
	of.points[key] = p
	of.order = append(of.order, p)
	return p
}

// serve has the point serve n producers.
func (p *point) serve(n int, bounds []float64) {
	var all []exemplar.Reservoir
	if old := p.reservoirs.Load(); old != nil {
		all = slices.Clone(*old)
	}
	for range n - len(p.due) {
		p.due = append(p.due, due{reported: newTotal(bounds)})
		all = append(all, exemplar.HistogramReservoirProvider(bounds)(p.attrs))
	}
	p.reservoirs.Store(&all)
}

// notice takes note of extremes.
func (p *point) notice(least, greatest int64) {
	p.ever.add(least, greatest)
	for i := range p.due {
		p.due[i].extremes.add(least, greatest)
	}
}

// collect brings the points of a histogram up to date. It is called with the lock held.
func (h *Histograms) collect(of *histogram) {
	for _, p := range of.order {
		p.total.set(p.past)
	}
	for _, o := range of.observers {
		o.observe(func(attrs attribute.Set, counts []uint64, sum, least, greatest int64) {
			p := h.at(of, attrs)
			p.total.add(counts, sum)
			p.notice(least, greatest)
		})
	}
}
