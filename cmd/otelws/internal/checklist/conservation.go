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

// imbalance is a label set for which opened = active + closed does not hold.
type imbalance struct {
	labels                 string
	opened, active, closed float64
}

func (b imbalance) excess() float64 { return b.active + b.closed - b.opened }

func checkConservation(_ context.Context, s *subject, i *Item) {
	sets := 0
	for _, role := range s.roles {
		now, n, err := imbalances(s.now, role)
		if err != "" {
			i.add(Failed, err, "See the item series", role+"connections_active", role+"connections_opened_total", role+"connections_closed_total")
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
		for _, m := range s.now.Families[role+"connections_active"].GetMetric() {
			if v := scrape.Value(m); v < 0 || math.IsNaN(v) {
				i.add(Failed, fmt.Sprintf("%s is %v: more were taken off than were added", series(role+"connections_active", m), v),
					"Decrement once a connection, where its transport ends, and not for refused handshakes", role+"connections_active")
			}
		}
		descriptors(s, i, role)
	}
	i.ok("opened = active + closed holds in %s", several(sets, "label set"))
}

// report tells a drift from a scrape that was not taken at one instant: a drift
// is there in the older scrape too.
func report(i *Item, role string, b imbalance, before map[string]imbalance, twice bool) {
	old, had := before[b.labels]
	why := fmt.Sprintf("opened %.0f = active %.0f + closed %.0f is wrong by %.0f%s",
		b.opened, b.active, b.closed, math.Abs(b.excess()), b.labels)
	names := []string{role + "connections_active", role + "connections_opened_total", role + "connections_closed_total"}
	if twice && (!had || math.Signbit(old.excess()) != math.Signbit(b.excess())) {
		i.add(Warning, why+", in one of two scrapes only", "Check again; if it comes and goes, the three are not read at one instant", names...)
		return
	}
	advice := "The gauge or the closes are too high: an end is counted twice, or a path does not decrement (errors, timeouts, drops without a close frame)"
	if b.excess() < 0 {
		advice = "Ends are not counted as closed on some path (errors, timeouts, drops without a close frame are 1006), or the gauge is decremented twice"
	}
	i.add(Failed, why, advice, names...)
}

// imbalances returns those of a scrape by label set, and how many sets there
// are. Where the three metrics have different labels, those that all have count.
func imbalances(s *scrape.Scrape, role string) (map[string]imbalance, int, string) {
	parts := [3]string{role + "connections_opened_total", role + "connections_active", role + "connections_closed_total"}
	var common []string
	for n, part := range parts {
		f := s.Families[part]
		if f == nil || len(f.GetMetric()) == 0 {
			return nil, 0, "can't be told without " + part
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
	sets := len(all)
	maps.DeleteFunc(all, func(_ string, b imbalance) bool { return b.excess() == 0 })
	return all, sets, ""
}

// descriptors finds a gauge with more connections than the process has files.
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
	i.add(Failed, fmt.Sprintf("the gauge says %.0f connections, and the process has %.0f file descriptors open", active, open),
		"The gauge drifts: decrement it wherever a connection ends", role+"connections_active", "process_open_fds")
}

func checkIdle(_ context.Context, s *subject, i *Item) {
	if !s.Idle {
		i.skip("the server may have connections; with --idle the gauge must be at 0")
		return
	}
	seen := false
	for _, role := range s.roles {
		name := role + "connections_active"
		for _, m := range s.now.Families[name].GetMetric() {
			seen = true
			if v := scrape.Value(m); v != 0 {
				i.add(Failed, fmt.Sprintf("%s is %v, and the server is idle", series(name, m), v),
					"Either it holds sockets of clients that have left (compare process_open_fds; close on every path of the handler) or the gauge drifts", name)
			}
		}
	}
	if !seen {
		i.add(Failed, "there is no connections_active", "See the item series")
	}
	i.ok("the gauge is at 0")
}

// labelNames are those that series of the family have, without le and quantile.
func labelNames(f *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names[l.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// labelSet is the labels as messages show them, and empty without any.
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

// series is a series as it stands in a scrape.
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

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
