package points

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// EachExemplar calls f for every exemplar, with the attributes that a view removed from its data
// point. f may replace the slice, but not change its elements: the SDK may own them.
func EachExemplar(data metricdata.Aggregation, f func(filtered *[]attribute.KeyValue)) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		exemplarsOfNumbers(d.DataPoints, f)
	case metricdata.Sum[float64]:
		exemplarsOfNumbers(d.DataPoints, f)
	case metricdata.Histogram[int64]:
		exemplarsOfHistograms(d.DataPoints, f)
	case metricdata.Histogram[float64]:
		exemplarsOfHistograms(d.DataPoints, f)
	case metricdata.ExponentialHistogram[int64]:
		exemplarsOfExponentials(d.DataPoints, f)
	case metricdata.ExponentialHistogram[float64]:
		exemplarsOfExponentials(d.DataPoints, f)
	}
}

func exemplarsOfNumbers[N int64 | float64](points []metricdata.DataPoint[N], f func(*[]attribute.KeyValue)) {
	for i := range points {
		exemplars(points[i].Exemplars, f)
	}
}

func exemplarsOfHistograms[N int64 | float64](points []metricdata.HistogramDataPoint[N], f func(*[]attribute.KeyValue)) {
	for i := range points {
		exemplars(points[i].Exemplars, f)
	}
}

func exemplarsOfExponentials[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N], f func(*[]attribute.KeyValue)) {
	for i := range points {
		exemplars(points[i].Exemplars, f)
	}
}

func exemplars[N int64 | float64](all []metricdata.Exemplar[N], f func(*[]attribute.KeyValue)) {
	for i := range all {
		f(&all[i].FilteredAttributes)
	}
}
