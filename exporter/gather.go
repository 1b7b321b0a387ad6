package exporter

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gatherer gathers all that Prometheus can parse. A registry lets through a few things that it cannot.
type gatherer struct {
	collected   prometheus.Gatherer // all that the MeterProvider does not know
	instruments prometheus.Gatherer // of translator
	translator  *translator
}

func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	collected, collectedErr := g.collected.Gather()
	g.translator.reserve(collected)
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

// merge returns the families of both in the order of their names. Where both have one, it has the help of a's.
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

// freeLE gives a label of a histogram another name that would be the one of its buckets, and says whether it could.
func freeLE(m *dto.Metric) bool {
	const taken, free = "le", "exported_le"
	i := slices.IndexFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == taken })
	if i < 0 {
		return true
	}
	if slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == free }) {
		return false
	}
	m.Label = slices.Clone(m.Label) // it is the collector's
	m.Label[i] = &dto.LabelPair{Name: new(free), Value: m.Label[i].Value}
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return true
}

// distinct gathers families whose names differ in OpenMetrics as well, where a counter has the name of its family
// without _total.
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
