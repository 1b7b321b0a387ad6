package exporter

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gatherer gathers only what Prometheus can parse. A registry also accepts a few metrics that it
// cannot parse.
type gatherer struct {
	collected   prometheus.Gatherer // the metrics from outside the MeterProvider
	instruments prometheus.Gatherer // the metrics of translator
	translator  *translator
}

func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	collected, collectedErr := g.collected.Gather()
	g.translator.leaveTo(collected)
	instruments, instrumentsErr := g.instruments.Gather()
	families, err := merge(collected, instruments)
	for _, f := range families {
		if help := strings.ToValidUTF8(f.GetHelp(), "\uFFFD"); help != f.GetHelp() {
			f.Help = &help
		}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			f.Metric = slices.DeleteFunc(f.Metric, func(m *dto.Metric) bool { return !freeLE(m) })
		}
	}
	return families, errors.Join(collectedErr, instrumentsErr, err)
}

// merge returns the families of a and b, sorted by name. If both have a family of one name, the
// help text of a's family stays.
func merge(a, b []*dto.MetricFamily) ([]*dto.MetricFamily, error) {
	byName := func(x, y *dto.MetricFamily) int { return strings.Compare(x.GetName(), y.GetName()) }
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, byName)
	var errs []error
	merged := all[:0]
	for _, f := range all {
		last := len(merged) - 1
		if last < 0 || merged[last].GetName() != f.GetName() {
			merged = append(merged, f)
			continue
		}
		f.Help = merged[last].Help
		both, err := prometheus.Gatherers{gathered(merged[last]), gathered(f)}.Gather()
		errs = append(errs, err)
		merged[last] = both[0]
	}
	return merged, errors.Join(errs...)
}

func gathered(f *dto.MetricFamily) prometheus.GathererFunc {
	return func() ([]*dto.MetricFamily, error) { return []*dto.MetricFamily{f}, nil }
}

// freeLE renames a label le of a histogram, because le is the label of its buckets. It reports
// whether m can be served, which is false if the new name is taken, too.
func freeLE(m *dto.Metric) bool {
	const taken, free = "le", "exported_le"
	i := slices.IndexFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == taken })
	if i < 0 {
		return true
	}
	if slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == free }) {
		return false
	}
	m.Label = slices.Clone(m.Label) // the collector owns the old slice
	m.Label[i] = &dto.LabelPair{Name: new(free), Value: m.Label[i].Value}
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return true
}

// distinct gathers families with distinct names in OpenMetrics, where the family of a counter is
// named without _total.
type distinct struct{ prometheus.Gatherer }

func (d distinct) Gather() ([]*dto.MetricFamily, error) {
	families, err := d.Gatherer.Gather()
	names := make(map[string]bool)
	for _, f := range families {
		names[f.GetName()] = true
	}
	for i, f := range families {
		base, counter := strings.CutSuffix(f.GetName(), "_total")
		if counter && f.GetType() == dto.MetricType_COUNTER && names[base] {
			families[i] = untyped(f)
		}
	}
	return families, err
}

func untyped(f *dto.MetricFamily) *dto.MetricFamily {
	metrics := make([]*dto.Metric, len(f.Metric))
	for i, m := range f.Metric {
		metrics[i] = &dto.Metric{Label: m.Label, Untyped: &dto.Untyped{Value: m.GetCounter().Value}, TimestampMs: m.TimestampMs}
	}
	return &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: dto.MetricType_UNTYPED.Enum(), Metric: metrics}
}
