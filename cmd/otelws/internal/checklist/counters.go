package checklist

import (
	"context"
	"fmt"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

func checkCounters(_ context.Context, s *subject, i *Item) {
	if s.before == nil {
		i.skip("needs two scrapes: give an address, or two files with the older one first")
		return
	}
	was, _ := s.before.Sum("process_start_time_seconds")
	if is, _ := s.now.Sum("process_start_time_seconds"); is != was {
		i.add(Warning, "process_start_time_seconds differs: the two scrapes come from different processes",
			"If nothing was restarted, this address leads to several instances in turn. Scrape each instance at its own address, not at a load balancer",
			"process_start_time_seconds")
		return
	}
	compared, backwards, gone := 0, []string{}, []string{}
	for _, name := range s.before.Names() {
		f := s.before.Families[name]
		if f.GetType() != dto.MetricType_COUNTER && f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		after := map[string]*dto.Metric{}
		for _, m := range s.now.Families[name].GetMetric() {
			after[series(name, m)] = m
		}
		for _, m := range f.GetMetric() {
			compared++
			key := series(name, m)
			switch now := after[key]; {
			case now == nil:
				gone = append(gone, key)
			case total(now) < total(m):
				backwards = append(backwards, fmt.Sprintf("%s went from %v to %v", key, total(m), total(now)))
			}
		}
	}
	slices.Sort(backwards)
	if n := len(backwards); n > 0 {
		i.add(Failed, enumerate(backwards), "A counter must not decrease while its process runs. Either this metric is a gauge, or the address leads to several instances in turn")
	}
	if len(gone) > 0 {
		i.add(Warning, "gone since the first scrape: "+enumerate(gone), "Keep the series of a counter while the process runs")
	}
	i.ok("none of %s of counters and histograms went backwards", several(compared, "series"))
}

func total(m *dto.Metric) float64 {
	if h := m.GetHistogram(); h != nil {
		return float64(h.GetSampleCount())
	}
	return scrape.Value(m)
}

// enumerate returns at most three of the names, and the number of the others.
func enumerate(all []string) string {
	const most = 3
	text := ""
	for n, one := range all[:min(len(all), most)] {
		if n > 0 {
			text += ", "
		}
		text += one
	}
	if len(all) > most {
		text += fmt.Sprintf(" and %d more", len(all)-most)
	}
	return text
}
