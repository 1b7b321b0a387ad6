// Package histogram hands histograms to the SDK's readers whose counts somebody else keeps: what an
// asynchronous instrument is to a counter, and the OpenTelemetry API does not have for histograms.
package histogram

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Observe yields, for each attribute set, what has been recorded under it: how many values fell in
// each bucket and their sum since the beginning, and the least and the greatest value since the
// last call, which are in the wrong order where there was none. Calls never overlap. counts is the
// caller's again when yield returns.
type Observe = func(yield func(attrs attribute.Set, counts []uint64, sum, least, greatest int64))

// Registry is the histograms of one MeterProvider and the producers of its readers. It is safe for
// concurrent use, but for Observe, which is called with its lock held.
type Registry struct {
	mu         sync.Mutex
	producers  []*Producer
	histograms []*histogram
}

// histogram is one instrument, which several may observe.
type histogram struct {
	identity
	bounds    []float64
	observers []Observe
	points    map[attribute.Distinct]*point
	order     []*point
}

// identity is what the SDK tells instruments apart by.
type identity struct {
	scope                   instrumentation.Scope
	name, description, unit string
}

// point is one attribute set of a histogram.
type point struct {
	attrs  attribute.Set
	counts []uint64
	sum    int64
	ever   extremes
	due    []due // by producer

	reservoirs atomic.Pointer[[]exemplar.Reservoir] // by producer
}

// due is what a producer has not reported of a point, or else has reported.
type due struct {
	extremes extremes
	counts   []uint64
	sum      int64
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

// Register adds a histogram with the given bucket bounds, or one more observer of a histogram that
// is there already. ok is false where that has other bounds.
func (r *Registry) Register(scope instrumentation.Scope, name, description, unit string, bounds []float64, observe Observe) (_ *Histogram, ok bool) {
	id := identity{scope, name, description, unit}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.histograms, func(h *histogram) bool { return h.identity == id })
	if i < 0 {
		i = len(r.histograms)
		r.histograms = append(r.histograms, &histogram{
			identity: id,
			bounds:   slices.Clone(bounds),
			points:   make(map[attribute.Distinct]*point),
		})
	}
	h := r.histograms[i]
	if !slices.Equal(h.bounds, bounds) {
		return nil, false
	}
	h.observers = append(h.observers, observe)
	return &Histogram{r, h}, true
}

// Histogram is a registered histogram.
type Histogram struct {
	registry  *Registry
	histogram *histogram
}

// at returns the point of attrs. It is called with the registry's lock held.
func (r *Registry) at(h *histogram, attrs attribute.Set) *point {
	key := attrs.Equivalent()
	if p := h.points[key]; p != nil {
		return p
	}
	p := &point{attrs: attrs, counts: make([]uint64, len(h.bounds)+1)}
	p.serve(len(r.producers), h.bounds)
	h.points[key] = p
	h.order = append(h.order, p)
	return p
}

// serve has the point serve n producers.
func (p *point) serve(n int, bounds []float64) {
	var all []exemplar.Reservoir
	if old := p.reservoirs.Load(); old != nil {
		all = slices.Clone(*old)
	}
	for range n - len(p.due) {
		p.due = append(p.due, due{counts: make([]uint64, len(bounds)+1)})
		all = append(all, exemplar.HistogramReservoirProvider(bounds)(p.attrs))
	}
	p.reservoirs.Store(&all)
}

// collect brings the points of h up to date. It is called with the registry's lock held.
func (r *Registry) collect(h *histogram) {
	for _, p := range h.order {
		clear(p.counts)
		p.sum = 0
	}
	for _, observe := range h.observers {
		observe(func(attrs attribute.Set, counts []uint64, sum, least, greatest int64) {
			p := r.at(h, attrs)
			for i, n := range counts {
				p.counts[i] += n
			}
			p.sum += sum
			p.ever.add(least, greatest)
			for i := range p.due {
				p.due[i].extremes.add(least, greatest)
			}
		})
	}
}

// Producer returns a producer for one reader, in the temporality that it reads histograms in.
func (r *Registry) Producer(t metricdata.Temporality) *Producer {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &Producer{registry: r, index: len(r.producers), temporality: t, since: time.Now()}
	r.producers = append(r.producers, p)
	for _, h := range r.histograms {
		for _, of := range h.order {
			of.serve(len(r.producers), h.bounds)
		}
	}
	return p
}

// Producers is how many have been made.
func (r *Registry) Producers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.producers)
}
