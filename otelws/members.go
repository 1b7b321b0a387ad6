package otelws

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"weak"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/tracing"
)

// members are the Instrumentations of one MeterProvider, in which instruments of one name are one. They have one
// callback, so that a collection finds each of them once, or what it has left behind.
type members struct {
	first *Instrumentation // whose provider it is
	meter metric.Meter

	// joining is held while one joins or leaves, and never by the callback: the SDK waits for that to end.
	joining      sync.Mutex
	registration metric.Registration // nil without members

	mu       sync.Mutex
	all      []*Instrumentation
	declared map[string]map[string]int // how many declare it, by instrument and attribute set
	left     leftBehind
}

// everybody has the members of all MeterProviders, for as long as these exist.
var everybody struct {
	mu  sync.Mutex
	all []weak.Pointer[members]
}

// membersOf returns those of i's MeterProvider.
func membersOf(i *Instrumentation) *members {
	everybody.mu.Lock()
	defer everybody.mu.Unlock()
	everybody.all = slices.DeleteFunc(everybody.all, func(w weak.Pointer[members]) bool { return w.Value() == nil })
	_, off := i.config.provider.(noop.MeterProvider) // equal to all others
	for _, w := range everybody.all {
		if m := w.Value(); m != nil && !off && sameProvider(m.first, i) {
			return m
		}
	}
	m := &members{
		first:    i,
		meter:    i.config.provider.Meter(ScopeName, metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(tracing.SchemaURL)),
		declared: make(map[string]map[string]int),
	}
	everybody.all = append(everybody.all, weak.Make(m))
	return m
}

// join makes the instruments of i, unless they would go beyond what the MeterProvider has room for.
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
	err := m.add(i)
	if err != nil {
		m.withdraw(all)
	}
	return err
}

// add makes the instruments of i, and has the callback report them.
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

// declare adds what a configuration can come to, unless that is too much together with what the others declare.
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
		if err := c.limit.check(sets, fmt.Sprintf("%s, with the other Instrumentations of the MeterProvider", w)); err != nil {
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

// observe is the callback of all observable instruments. It returns no error, since one would drop other producers'
// data from the scrape.
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

// remove takes i out, and keeps what it has counted, which would go backwards otherwise: what it was is added to what
// the others count until there are none. It is called with the lock held.
func (m *members) remove(i *Instrumentation) {
	at := slices.Index(m.all, i)
	if at < 0 {
		return
	}
	m.all = slices.Delete(m.all, at, at+1)
	for _, s := range []*side{i.server, i.client} {
		m.left.take(s)
		for _, r := range s.registrations {
			_ = r.Unregister() // of a counted histogram, which returns none
		}
	}
	if len(m.all) == 0 {
		m.left = leftBehind{}
	}
}

// Close undoes [New]: what i reports leaves the MeterProvider, with the callbacks and histograms that were registered
// for it. Connections that are open go on, and are watched and counted until they end: i leaves with the last of them,
// at the collection after that. What a Handler, a Transport or an Accept of i lets through afterwards is not watched.
//
// What i has counted stays in the sums while another Instrumentation of the same MeterProvider is open, since a counter
// that falls looks like a restart. With the last one all series of its callbacks end; collect, or flush, before that
// what is to be kept. The API has no way to take back ws.heartbeat.rtt, ws.connection.duration and
// ws.handshake.duration, nor the sizes of messages where an ordinary instrument records them: their series stay.
//
// Close does not end connections; see [Instrumentation.Drain]. It may be called again.
func (i *Instrumentation) Close() error {
	if i.closed.Swap(true) {
		return nil
	}
	m := i.members
	m.joining.Lock()
	defer m.joining.Unlock()
	m.withdraw(append(worstCases(server, i.config, m.meter), worstCases(client, i.config, m.meter)...))
	m.mu.Lock()
	if i.isIdle() {
		m.remove(i)
	}
	last := len(m.all) == 0
	m.mu.Unlock()
	if !last || m.registration == nil {
		return nil
	}
	err := m.registration.Unregister()
	m.registration = nil
	if err != nil {
		return fmt.Errorf("otelws: failed to unregister a callback: %w", err)
	}
	return nil
}

// isIdle says whether i has no connection, and none whose response is going out or whose end is being told.
func (i *Instrumentation) isIdle() bool {
	return i.opening.Load() == 0 && i.table.Len() == 0 && i.ending.Load() == 0
}
