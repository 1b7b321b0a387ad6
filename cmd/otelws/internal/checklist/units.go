package checklist

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// slowest is an impossible mean round trip, in seconds: a heartbeat gives up a ping
// long before.
const slowest = 20.0

// checkUnits judges values, because a name can claim any unit.
func checkUnits(_ context.Context, s *subject, i *Item) {
	const advice = "These look like milliseconds. Divide by 1000, and keep the name"
	judged := 0
	for _, d := range distributions(s) {
		if !strings.HasSuffix(d.name, "_seconds") {
			continue
		}
		judged++
		usual := conventional(d.name)
		switch mean := d.mean(); {
		case strings.Contains(d.name, "heartbeat_rtt") && d.count > 0 && mean > slowest:
			i.add(Failed, fmt.Sprintf("%s has a mean round trip of %s s", d.name, number(mean)), advice, d.name)
		case strings.Contains(d.name, "connection_duration") && longerThanUp(s, d):
			i.add(Failed, fmt.Sprintf("%s has a mean of %s s, which is longer than the process has run", d.name, number(mean)), advice, d.name)
		case len(d.bounds) > 0 && len(usual) > 0 && milliseconds(d.bounds, usual):
			i.add(Failed, fmt.Sprintf("%s has buckets from %s to %s s", d.name, number(d.bounds[0]), number(d.bounds[len(d.bounds)-1])),
				"These look like milliseconds. Record seconds, with the buckets "+numbers(usual), d.name)
		}
	}
	for _, f := range s.now.Families {
		name := f.GetName()
		if conventional(name) != nil && !strings.HasSuffix(name, "_seconds") && !strings.HasSuffix(name, "_bytes") {
			i.add(Failed, name+" does not end with a base unit", "Record seconds or bytes, and end the name with _seconds or _bytes", name)
		}
	}
	slices.SortFunc(i.Findings, func(a, b Finding) int { return strings.Compare(a.Why, b.Why) })
	if judged == 0 && len(i.Findings) == 0 {
		i.skip("no duration was recorded yet")
		return
	}
	i.ok("the times of %s are plausible as seconds", several(judged, "histogram"))
}

// longerThanUp reports whether connections lasted longer than the process has run. It
// assumes that the scrape is recent.
func longerThanUp(s *subject, d distribution) bool {
	start, ok := s.now.Sum("process_start_time_seconds")
	if !ok || start <= 0 || d.count == 0 {
		return false
	}
	up := float64(time.Now().UnixMilli())/1000 - start
	return up > 0 && d.mean() > up+1
}

// milliseconds reports whether bounds look like milliseconds: 100 times the
// conventional bounds or more.
func milliseconds(bounds, usual []float64) bool {
	return bounds[0] >= 100*usual[0] && bounds[len(bounds)-1] >= 100*usual[len(usual)-1]
}

// foreign are the prefixes of metrics whose names other projects chose.
var foreign = append([]string{"process_", "promhttp_", "scrape_", "otel_", "target_info"}, runtimes...)

func checkNames(_ context.Context, s *subject, i *Item) {
	var own []*dto.MetricFamily
	for _, name := range s.now.Names() {
		f := s.now.Families[name]
		if len(f.GetMetric()) > 0 && !slices.ContainsFunc(foreign, func(p string) bool { return strings.HasPrefix(name, p) }) {
			own = append(own, f)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(own).Lint()
	if err != nil {
		i.add(Warning, err.Error(), "Check that the metrics are valid")
		return
	}
	type problem struct{ metric, text string }
	seen := map[problem]bool{}
	for _, p := range problems {
		// promlint repeats some problems for each series.
		if key := (problem{p.Metric, p.Text}); !seen[key] {
			seen[key] = true
			i.add(Warning, p.Metric+": "+p.Text, "See prometheus.io/docs/practices/naming", p.Metric)
		}
	}
	i.ok("the names of %s follow the conventions", several(len(own), "metric"))
}
