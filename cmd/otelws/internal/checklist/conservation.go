package checklist

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// imbalance holds the values of one label set.
type imbalance struct {
	labels                 string
	opened, active, closed float64
}

func (b imbalance) excess() float64 { return b.active + b.closed - b.opened }

func checkConservation(_ context.Context, s *subject, i *Item) {
	sets, undecided := 0, ""
	for _, role := range s.roles {
		active := role + "connections_active"
		for _, m := range s.now.Families[active].GetMetric() {
			if v := scrape.Value(m); v < 0 || math.IsNaN(v) {
				i.add(Failed, fmt.Sprintf("%s is %v: the server decremented it too often", series(active, m), v),
					"Decrement once for each connection, when its transport ends, and never for a refused handshake", active)
			}
		}
		descriptors(s, i, role)
		now, n, missing := imbalances(s.now, role)
		if missing != "" {
			undecided = "needs " + missing
			continue
		}
		sets += n
		var before map[string]imbalance
		if s.before != nil {
			before, _, _ = imbalances(s.before, role)
		}
		for _, labels := range slices.Sorted(maps.Keys(now)) {
			report(i, role, now[labels], before, s.before != nil)
		}
	}
	if sets == 0 {
		i.skip(undecided)
		return
	}
	i.ok("opened = active + closed holds in %s", several(sets, "label set"))
}

// report adds a finding for b. It distinguishes a drift, which the older scrape shows
// too, from values that the server did not read at the same time.
func report(i *Item, role string, b imbalance, before map[string]imbalance, twice bool) {
	old, had := before[b.labels]
	why := fmt.Sprintf("opened %.0f is not active %.0f + closed %.0f: the difference is %.0f%s",
		b.opened, b.active, b.closed, math.Abs(b.excess()), b.labels)
	names := []string{role + "connections_active", role + "connections_opened_total", role + "connections_closed_total"}
	if twice && (!had || math.Signbit(old.excess()) != math.Signbit(b.excess())) {
		i.add(Warning, why+", in one of two scrapes only", "Check again. A difference that comes and goes means that the server does not read the three metrics at the same time", names...)
		return
	}
	advice := "Look for code that counts an end twice, or that never decrements the gauge (errors, timeouts, ends without a close frame)"
	if b.excess() < 0 {
		advice = "Look for code that decrements the gauge twice, or that does not count an end (count errors, timeouts and ends without a close frame as 1006)"
	}
	i.add(Failed, why, advice, names...)
}

// imbalances returns the label sets that do not balance, and the number of all label
// sets. It compares the sets by the labels that the three metrics share. missing
// names a metric that the scrape does not contain.
func imbalances(s *scrape.Scrape, role string) (unbalanced map[string]imbalance, sets int, missing string) {
	parts := [3]string{role + "connections_opened_total", role + "connections_active", role + "connections_closed_total"}
	var common []string
	for n, part := range parts {
		f := s.Families[part]
		if f == nil {
			return nil, 0, part
		}
		names := labelNames(f)
		if n == 0 {
			common = names
		}
		common = slices.DeleteFunc(common, func(l string) bool { return l == "code" || !slices.Contains(names, l) })
	}
	all := map[string]imbalance{}
	for n, part := range parts {
		for _, m := range s.Families[part].GetMetric() {
			key := labelSet(m, common)
			b := all[key]
			b.labels = key
			*[...]*float64{&b.opened, &b.active, &b.closed}[n] += scrape.Value(m)
			all[key] = b
		}
	}
	sets = max(1, len(all)) // all three metrics may be declared without a series
	maps.DeleteFunc(all, func(_ string, b imbalance) bool { return b.excess() == 0 })
	return all, sets, ""
}

// descriptors adds a finding if the gauge is greater than the number of open files.
func descriptors(s *subject, i *Item, role string) {
	active, _ := s.now.Sum(role + "connections_active")
	open, ok := s.now.Sum("process_open_fds")
	if !ok || active <= open {
		return
	}
	if s.before != nil {
		activeBefore, _ := s.before.Sum(role + "connections_active")
		if openBefore, ok := s.before.Sum("process_open_fds"); ok && activeBefore <= openBefore {
			return
		}
	}
	i.add(Failed, fmt.Sprintf("the gauge shows %.0f connections, but the process has only %.0f open file descriptors", active, open),
		"The gauge drifts. Decrement it for every end of a connection", role+"connections_active", "process_open_fds")
}

func checkIdle(_ context.Context, s *subject, i *Item) {
	if !s.Idle {
		i.skip("give --idle if the server has no connections now")
		return
	}
	seen := false
	for _, role := range s.roles {
		name := role + "connections_active"
		for _, m := range s.now.Families[name].GetMetric() {
			seen = true
			if v := scrape.Value(m); v != 0 {
				i.add(Failed, fmt.Sprintf("%s is %v on an idle server", series(name, m), v),
					"Compare process_open_fds. If it is high too, the server keeps the sockets of clients that have left: close the connection on every return of the handler. Otherwise the gauge drifts", name)
			}
		}
	}
	if !seen {
		i.skip("needs " + s.roles[0] + "connections_active")
		return
	}
	i.ok("the gauge is at 0")
}

// labelNames returns the names of the labels of a family.
func labelNames(f *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names[l.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// labelSet formats labels for a message. Without labels it returns "".
func labelSet(m *dto.Metric, names []string) string {
	if len(names) == 0 {
		return ""
	}
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s=%q", name, scrape.Label(m, name)))
	}
	return " for {" + strings.Join(parts, ",") + "}"
}

// series formats a series as in the text format.
func series(name string, m *dto.Metric) string {
	var parts []string
	for _, l := range m.GetLabel() {
		parts = append(parts, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	if len(parts) == 0 {
		return name
	}
	slices.Sort(parts)
	return name + "{" + strings.Join(parts, ",") + "}"
}
