package otelws

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"weak"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws/internal/span"
)

// members are the Instrumentations of one MeterProvider. They share the instruments, and one
// callback, so that a collection reads each of them once. The callback also reports the series of
// Instrumentations that have left.
type members struct {
	first *Instrumentation // its provider is the provider of all members
	meter metric.Meter

	// joining is held while a member joins or leaves, but never by the callback, because the SDK
	// waits for the callback's end.
	joining      sync.Mutex
	registration metric.Registration // nil without members

	mu       sync.Mutex
	all      []*Instrumentation
	declared map[string]map[string]int // number of members that declare it, for each instrument and attribute set
	left     leftBehind
}

// everybody holds the members of all MeterProviders, as long as these exist.
var everybody struct {
	mu  sync.Mutex
	all []weak.Pointer[members]
}

// membersOf returns the members of i's MeterProvider.
func membersOf(i *Instrumentation) *members {
	everybody.mu.Lock()
	defer everybody.mu.Unlock()
	everybody.all = slices.DeleteFunc(everybody.all, func(w weak.Pointer[members]) bool { return w.Value() == nil })
	_, off := i.config.meterProvider.(noop.MeterProvider) // no-op providers are all equal
	for _, w := range everybody.all {
		if m := w.Value(); m != nil && !off && sameProvider(m.first, i) {
			return m
		}
	}
	m := &members{
		first:    i,
		meter:    i.config.meterProvider.Meter(ScopeName, metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(span.SchemaURL)),
		declared: make(map[string]map[string]int),
	}
	everybody.all = append(everybody.all, weak.Make(m))
	return m
}

// join creates the instruments of i, unless the MeterProvider would then have too many series.
func (i *Instrumentation) join() error {
	m := membersOf(i)
	m.joining.Lock()
	defer m.joining.Unlock()
	all := append(worstCases(server, i.config, m.meter), worstCases(client, i.config, m.meter)...)
	if err := checkBudget(i.config, all); err != nil {
		return err
	}
	if err := m.declare(i.config, all); err != nil {
		return err
	}
	added := false
	defer func() { // also if the MeterProvider panics
		if !added {
			m.withdraw(all)
			i.server.unregister()
			i.client.unregister()
		}
	}()
	if err := m.add(i); err != nil {
		return err
	}
	added = true
	return nil
}

// add creates the instruments of i, and adds i to the callback.
func (m *members) add(i *Instrumentation) (err error) {
	i.members = m
	if i.server, err = newSide(i, m.meter, server); err != nil {
		return err
	}
	if i.client, err = newSide(i, m.meter, client); err != nil {
		return err
	}
	if m.registration == nil {
		observables := append(i.server.instruments.observables(), i.client.instruments.observables()...)
		if m.registration, err = m.meter.RegisterCallback(m.observe, observables...); err != nil {
			return fmt.Errorf("failed to register a callback: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, i)
	return nil
}

// declare adds the worst case of a configuration, unless it is too much together with the other
// members.
func (m *members) declare(c *config, all []worstCase) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := int64(0)
	for _, w := range all {
		sets := int64(len(m.declared[w.name]))
		w.all(func(set string) {
			if m.declared[w.name][set] == 0 {
				sets++
			}
		})
		if err := c.limit.check(sets, fmt.Sprintf("%s, including other Instrumentations of the MeterProvider", w)); err != nil {
			return err
		}
		total += sets * int64(w.points)
	}
	if total > int64(c.budget) {
		return fmt.Errorf("worst case of %d time series, together with the %d other Instrumentations of the MeterProvider, is above the budget of %d: declare fewer values or raise WithSeriesBudget",
			total, len(m.all), c.budget)
	}
	for _, w := range all {
		of := m.declared[w.name]
		if of == nil {
			of = make(map[string]int)
			m.declared[w.name] = of
		}
		w.all(func(set string) { of[set]++ })
	}
	return nil
}

func (m *members) withdraw(all []worstCase) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range all {
		of := m.declared[w.name]
		w.all(func(set string) {
			if of[set]--; of[set] == 0 {
				delete(of, set)
			}
		})
	}
}

// observe is the callback of all observable instruments. It never returns an error, because an
// error would remove the data of other producers from the scrape.
func (m *members) observe(_ context.Context, o metric.Observer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left.observe(o)
	for _, i := range slices.Clone(m.all) {
		i.server.observe(o)
		i.client.observe(o)
		if i.closed.Load() && i.isIdle() {
			m.remove(i)
		}
	}
	return nil
}

// remove removes i, and keeps its counts until the last member leaves. Without them, the sums would
// go backwards. m.mu must be held.
func (m *members) remove(i *Instrumentation) {
	at := slices.Index(m.all, i)
	if at < 0 {
		return
	}
	m.all = slices.Delete(m.all, at, at+1)
	for _, s := range []*side{i.server, i.client} {
		m.left.take(s)
		s.unregister()
	}
	if len(m.all) == 0 {
		m.left = leftBehind{}
	}
}
