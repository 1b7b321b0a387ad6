package histogram

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Producer hands the histograms of a [Registry] to one reader. It implements the SDK's
// metric.Producer.
type Producer struct {
	registry    *Registry
	index       int
	temporality metricdata.Temporality
	since       time.Time // of the beginning, or of the last collection where it reports deltas
}

// Produce returns the histograms in which something has been recorded, in the producer's
// temporality. It returns no error.
func (p *Producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	at := time.Now()
	var scopes []metricdata.ScopeMetrics
	for _, h := range p.registry.histograms {
		p.registry.collect(h)
		data := metricdata.Histogram[int64]{Temporality: p.temporality}
		for _, point := range h.order {
			if dp := p.dataPoint(h, point, at); dp.Count > 0 {
				data.DataPoints = append(data.DataPoints, dp)
			}
		}
		if len(data.DataPoints) == 0 {
			continue
		}
		i := slices.IndexFunc(scopes, func(s metricdata.ScopeMetrics) bool { return s.Scope == h.scope })
		if i < 0 {
			i = len(scopes)
			scopes = append(scopes, metricdata.ScopeMetrics{Scope: h.scope})
		}
		scopes[i].Metrics = append(scopes[i].Metrics, metricdata.Metrics{
			Name: h.name, Description: h.description, Unit: h.unit, Data: data,
		})
	}
	if p.temporality == metricdata.DeltaTemporality {
		p.since = at
	}
	return scopes, nil
}

func (p *Producer) dataPoint(h *histogram, of *point, at time.Time) metricdata.HistogramDataPoint[int64] {
	dp := metricdata.HistogramDataPoint[int64]{
		Attributes:   of.attrs,
		StartTime:    p.since,
		Time:         at,
		Bounds:       slices.Clone(h.bounds),
		BucketCounts: slices.Clone(of.counts),
		Sum:          of.sum,
	}
	d, extremes := &of.due[p.index], of.ever
	if p.temporality == metricdata.DeltaTemporality {
		for i, n := range d.counts {
			dp.BucketCounts[i] -= n
		}
		dp.Sum -= d.sum
		copy(d.counts, of.counts)
		d.sum = of.sum
		extremes, d.extremes = d.extremes, extremes0
	}
	for _, n := range dp.BucketCounts {
		dp.Count += n
	}
	if extremes.set {
		dp.Min = metricdata.NewExtrema(extremes.least)
		dp.Max = metricdata.NewExtrema(extremes.greatest)
	}
	dp.Exemplars = p.exemplars((*of.reservoirs.Load())[p.index])
	return dp
}

var extremes0 extremes

// exemplars are those of the reservoir, which keeps them: where deltas are reported, the ones from
// before are left out.
func (p *Producer) exemplars(r exemplar.Reservoir) []metricdata.Exemplar[int64] {
	var held []exemplar.Exemplar
	r.Collect(&held)
	var all []metricdata.Exemplar[int64]
	for _, e := range held {
		if p.temporality == metricdata.DeltaTemporality && e.Time.Before(p.since) {
			continue
		}
		all = append(all, metricdata.Exemplar[int64]{
			FilteredAttributes: e.FilteredAttributes,
			Time:               e.Time,
			Value:              e.Value.Int64(),
			SpanID:             e.SpanID,
			TraceID:            e.TraceID,
		})
	}
	return all
}
