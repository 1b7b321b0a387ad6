package counted

import (
	"context"
	"reflect"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/trace"
)

// pipeline is what one reader of a MeterProvider makes of instruments.
type pipeline struct {
	views       []sdkmetric.View
	exemplars   exemplar.Filter
	aggregation sdkmetric.AggregationSelector
}

// pipelinesOf returns the pipelines of mp, one for each reader. The SDK tells nobody of them: they are read from its
// fields, and ok is false where these are others.
func pipelinesOf(mp *sdkmetric.MeterProvider) (all []pipeline, ok bool) {
	pipes := reflect.ValueOf(mp).Elem().FieldByName("pipes")
	if pipes.Kind() != reflect.Slice {
		return nil, false
	}
	for i := range pipes.Len() {
		of, p := pipes.Index(i), pipeline{}
		var reader sdkmetric.Reader
		if !get(of, "views", &p.views) || !get(of, "exemplarFilter", &p.exemplars) || !get(of, "reader", &reader) {
			return nil, false
		}
		if p.aggregation = aggregationOf(reflect.ValueOf(reader)); p.aggregation == nil {
			return nil, false
		}
		all = append(all, p)
	}
	return all, true
}

// aggregationOf returns the selector of a reader. What the SDK asks for it is not exported, so that every other reader
// has one of the SDK's embedded.
func aggregationOf(reader reflect.Value) sdkmetric.AggregationSelector {
	for reader.Kind() == reflect.Pointer || reader.Kind() == reflect.Interface {
		reader = reader.Elem()
	}
	if reader.Kind() != reflect.Struct {
		return nil
	}
	var selector sdkmetric.AggregationSelector
	var exporter sdkmetric.Exporter
	switch reader.Type() {
	case reflect.TypeFor[sdkmetric.ManualReader]():
		get(reader, "aggregationSelector", &selector)
		return selector
	case reflect.TypeFor[sdkmetric.PeriodicReader]():
		if get(reader, "exporter", &exporter) && exporter != nil {
			selector = exporter.Aggregation
		}
		return selector
	}
	for i := range reader.NumField() {
		if reader.Type().Field(i).Anonymous && reader.Type().Field(i).Type.Implements(reflect.TypeFor[sdkmetric.Reader]()) {
			return aggregationOf(reader.Field(i))
		}
	}
	return nil
}

// get reads a field of the SDK's, unless it is another than is expected.
func get[T any](of reflect.Value, name string, to *T) bool {
	of = reflect.Indirect(of)
	if of.Kind() != reflect.Struct {
		return false
	}
	field := of.FieldByName(name)
	if !field.IsValid() || field.Type() != reflect.TypeFor[T]() || !field.CanAddr() {
		return false
	}
	*to = *(*T)(field.Addr().UnsafePointer())
	return true
}

// takesAsIs says whether the reader would have a histogram with the buckets that its instrument asks for, and with
// exemplars of sampled spans.
func (p pipeline) takesAsIs(i sdkmetric.Instrument) bool {
	for _, view := range p.views {
		if _, matches := view(i); matches {
			return false
		}
	}
	return explicit(p.aggregation(i.Kind)) && traceBased(p.exemplars)
}

func explicit(a sdkmetric.Aggregation) bool {
	switch a := a.(type) {
	case nil, sdkmetric.AggregationDefault:
		return true
	case sdkmetric.AggregationExplicitBucketHistogram:
		return !a.NoMinMax
	}
	return false
}

var sampledContext = trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
}))

// traceBased says whether a filter is, or does as, the one that takes the exemplars of sampled spans.
func traceBased(filter exemplar.Filter) bool {
	return filter != nil && filter(sampledContext) && !filter(context.Background())
}
