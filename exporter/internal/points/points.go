// Package points reads the data points of metrics of any type.
package points

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Point receives a data point: its attributes, which it may change in place, and its start time.
type Point func(attrs *attribute.Set, start time.Time)

// Exemplar receives the attributes that a view removed from an exemplar's data point. It may replace
// the slice, but not change its elements: the SDK may own them.
type Exemplar func(filtered *[]attribute.KeyValue)

// Each calls point for every data point, and exemplar, unless it is nil, for every exemplar.
func Each(data metricdata.Aggregation, point Point, exemplar Exemplar) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		eachNumber(d.DataPoints, point, exemplar)
	case metricdata.Sum[float64]:
		eachNumber(d.DataPoints, point, exemplar)
	case metricdata.Gauge[int64]:
		eachNumber(d.DataPoints, point, exemplar)
	case metricdata.Gauge[float64]:
		eachNumber(d.DataPoints, point, exemplar)
	case metricdata.Histogram[int64]:
		eachHistogram(d.DataPoints, point, exemplar)
	case metricdata.Histogram[float64]:
		eachHistogram(d.DataPoints, point, exemplar)
	case metricdata.ExponentialHistogram[int64]:
		eachExponential(d.DataPoints, point, exemplar)
	case metricdata.ExponentialHistogram[float64]:
		eachExponential(d.DataPoints, point, exemplar)
	}
}

func eachNumber[N int64 | float64](points []metricdata.DataPoint[N], point Point, exemplar Exemplar) {
	for i := range points {
		p := &points[i]
		point(&p.Attributes, p.StartTime)
		eachExemplar(p.Exemplars, exemplar)
	}
}

func eachHistogram[N int64 | float64](points []metricdata.HistogramDataPoint[N], point Point, exemplar Exemplar) {
	for i := range points {
		p := &points[i]
		point(&p.Attributes, p.StartTime)
		eachExemplar(p.Exemplars, exemplar)
	}
}

func eachExponential[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N], point Point, exemplar Exemplar) {
	for i := range points {
		p := &points[i]
		point(&p.Attributes, p.StartTime)
		eachExemplar(p.Exemplars, exemplar)
	}
}

func eachExemplar[N int64 | float64](all []metricdata.Exemplar[N], exemplar Exemplar) {
	if exemplar == nil {
		return
	}
	for i := range all {
		exemplar(&all[i].FilteredAttributes)
	}
}
