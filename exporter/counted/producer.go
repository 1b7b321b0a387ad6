package counted

import (
	"context"
	"slices"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// producer hands the histograms to one reader.
type producer struct {
	histograms  *Histograms
	index       int
	temporality metricdata.Temporality
	since       time.Time // of the beginning, or of the last collection where it reports deltas
}

// Producer returns a producer for one reader, for sdkmetric.WithProducer. The temporality is the one in which the
// reader reads histograms: Temporality of its exporter, or what sdkmetric.WithTemporalitySelector was given; nil is
// sdkmetric.DefaultTemporalitySelector. Each reader of the MeterProvider takes one of its own, and all of them are
// made before instrumentation makes its instruments.
func (h *Histograms) Producer(temporality sdkmetric.TemporalitySelector) sdkmetric.Producer {
	if temporality == nil {
		temporality = sdkmetric.DefaultTemporalitySelector
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &producer{
		histograms:  h,
		index:       len(h.producers),
		temporality: temporality(sdkmetric.InstrumentKindHistogram),
		since:       time.Now(),
	}
	h.producers = append(h.producers, p)
	for _, of := range h.histograms {
		for _, point := range of.order {
			point.serve(len(h.producers), of.bounds)
		}
	}
	return p
}

func (h *Histograms) producerCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.producers)
}

// Produce returns the histograms in which something has been recorded. It returns no error.
func (p *producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	p.histograms.mu.Lock()
	defer p.histograms.mu.Unlock()
	at := time.Now()
	var scopes []metricdata.ScopeMetrics
	for _, h := range p.histograms.histograms {
		p.histograms.collect(h)
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

func (p *producer) dataPoint(h *histogram, of *point, at time.Time) metricdata.HistogramDataPoint[int64] {
	dp := metricdata.HistogramDataPoint[int64]{
		Attributes:   of.attrs,
		StartTime:    p.since,
		Time:         at,
		Bounds:       slices.Clone(h.bounds),
		BucketCounts: slices.Clone(of.counts),
		Sum:          of.sum,
	}
	if h.since.After(p.since) {
		dp.StartTime = h.since
	}
	d, observed := &of.due[p.index], of.ever
	if p.temporality == metricdata.DeltaTemporality {
		for i, n := range d.reported.counts {
			dp.BucketCounts[i] -= n
		}
		dp.Sum -= d.reported.sum
		d.reported.set(of.total)
		observed, d.extremes = d.extremes, extremes{}
	}
	for _, n := range dp.BucketCounts {
		dp.Count += n
	}
	if observed.set {
		dp.Min = metricdata.NewExtrema(observed.least)
		dp.Max = metricdata.NewExtrema(observed.greatest)
	}
	dp.Exemplars = p.exemplars((*of.reservoirs.Load())[p.index])
	return dp
}

// exemplars are those of the reservoir, which keeps them: where deltas are reported, the ones from
// before are left out.
func (p *producer) exemplars(r exemplar.Reservoir) []metricdata.Exemplar[int64] {
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
