package counted

import (
	"context"
	"slices"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// producer passes the histograms to one reader.
type producer struct {
	histograms  *Histograms
	index       int
	temporality metricdata.Temporality
	since       time.Time // the beginning, or with deltas the last collection
}

// Producer returns a producer for one reader, to be passed to sdkmetric.WithProducer. Each reader
// of the MeterProvider needs a producer of its own. Make all producers before instrumentation
// creates its instruments.
//
// temporality must be the reader's temporality selector: the Temporality method of its exporter, or
// the argument of sdkmetric.WithTemporalitySelector. nil means
// sdkmetric.DefaultTemporalitySelector.
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

// Produce returns the histograms that have values. It never returns an error.
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

// exemplars returns the exemplars in the reservoir. With deltas, it skips exemplars from before the
// last collection, because the reservoir keeps them.
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
