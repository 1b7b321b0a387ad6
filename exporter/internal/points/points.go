// Package points reads the data points of metrics of any type.
package points

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Each calls f for every data point, with its attributes and its start time. f may change the
// attributes in place.
func Each(data metricdata.Aggregation, f func(attrs *attribute.Set, start time.Time)) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		eachNumber(d.DataPoints, f)
	case metricdata.Sum[float64]:
		eachNumber(d.DataPoints, f)
	case metricdata.Gauge[int64]:
		eachNumber(d.DataPoints, f)
	case metricdata.Gauge[float64]:
		eachNumber(d.DataPoints, f)
	case metricdata.Histogram[int64]:
		eachHistogram(d.DataPoints, f)
	case metricdata.Histogram[float64]:
		eachHistogram(d.DataPoints, f)
	case metricdata.ExponentialHistogram[int64]:
		eachExponential(d.DataPoints, f)
	case metricdata.ExponentialHistogram[float64]:
		eachExponential(d.DataPoints, f)
	}
}

func eachNumber[N int64 | float64](points []metricdata.DataPoint[N], f func(*attribute.Set, time.Time)) {
	for i := range points {
		f(&points[i].Attributes, points[i].StartTime)
	}
}

func eachHistogram[N int64 | float64](points []metricdata.HistogramDataPoint[N], f func(*attribute.Set, time.Time)) {
	for i := range points {
		f(&points[i].Attributes, points[i].StartTime)
	}
}

func eachExponential[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N], f func(*attribute.Set, time.Time)) {
	for i := range points {
		f(&points[i].Attributes, points[i].StartTime)
	}
}
