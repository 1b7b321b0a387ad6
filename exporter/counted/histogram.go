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

// Histograms holds the counted histograms of one MeterProvider, and the producers of its readers.
// Its methods are safe for concurrent use.
type Histograms struct {
	mu         sync.Mutex
	producers  []*producer
	histograms []*histogram
}

// New returns an empty Histograms. Call [Histograms.Producer] once for each reader, then
// [Histograms.Wrap].
func New() *Histograms { return new(Histograms) }

// observe yields each attribute set with its data: the number of values in each bucket and the sum
// of all values since the beginning, and the least and the greatest value since the last call. If
// there was no value since the last call, least is greater than greatest. Calls never overlap. The
// caller of yield owns counts again when yield returns.
type observe = func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64))

// histogram is one instrument. It may have several observers.
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

// identity holds the properties by which the SDK distinguishes instruments.
type identity struct {
	scope                   instrumentation.Scope
	name, description, unit string
}

// point holds the data of one attribute set.
type point struct {
	attrs attribute.Set
	total       // sum over all observers
	past  total // from observers that have unregistered
	ever  extremes
	due   []due // one for each producer

	reservoirs atomic.Pointer[[]exemplar.Reservoir] // one for each producer
}

// total is the number of values in each bucket, and their sum.
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

// due tracks one point for a producer of deltas: the total that it has reported, and the extremes
// that it has not.
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

// register adds a histogram, or adds an observer to an existing one. ok is false if the existing
// histogram has other bounds.
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

// unregister removes an observer. Its counts stay in the histogram while there are other observers;
// otherwise the histogram would go backwards.
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

// at returns the point of attrs, and creates it if necessary. h.mu must be held.
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

// serve prepares the point for n producers.
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

// notice updates the extremes.
func (p *point) notice(least, greatest int64) {
	p.ever.add(least, greatest)
	for i := range p.due {
		p.due[i].extremes.add(least, greatest)
	}
}

// collect updates the points of a histogram. h.mu must be held.
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
