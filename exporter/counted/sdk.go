package counted

import (
	"context"
	"reflect"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/trace"
)

// pipeline describes how one reader of a MeterProvider aggregates instruments.
type pipeline struct {
	views       []sdkmetric.View
	exemplars   exemplar.Filter
	aggregation sdkmetric.AggregationSelector
	limit       sdkmetric.CardinalityLimitSelector
	otherwise   int // the limit if the selector has none
}

// pipelinesOf returns the pipelines of mp, one for each reader. The SDK has no API for them, so it
// reads private fields. ok is false if these fields have changed.
func pipelinesOf(mp *sdkmetric.MeterProvider) (all []pipeline, ok bool) {
	pipes := reflect.ValueOf(mp).Elem().FieldByName("pipes")
	if pipes.Kind() != reflect.Slice {
		return nil, false
	}
	for i := range pipes.Len() {
		of, p := pipes.Index(i), pipeline{}
		var reader sdkmetric.Reader
		if !get(of, "views", &p.views) || !get(of, "exemplarFilter", &p.exemplars) ||
			!get(of, "cardinalityLimit", &p.otherwise) || !get(of, "reader", &reader) {
			return nil, false
		}
		if p.aggregation, p.limit = selectorsOf(reflect.ValueOf(reader)); p.aggregation == nil || p.limit == nil {
			return nil, false
		}
		all = append(all, p)
	}
	return all, true
}

// selectorsOf returns the selectors of a reader. A reader has to embed a reader of the SDK, because
// sdkmetric.Reader has unexported methods.
func selectorsOf(reader reflect.Value) (aggregation sdkmetric.AggregationSelector, limit sdkmetric.CardinalityLimitSelector) {
	for reader.Kind() == reflect.Pointer || reader.Kind() == reflect.Interface {
		reader = reader.Elem()
	}
	if reader.Kind() != reflect.Struct {
		return nil, nil
	}
	get(reader, "cardinalityLimitSelector", &limit)
	switch reader.Type() {
	case reflect.TypeFor[sdkmetric.ManualReader]():
		get(reader, "aggregationSelector", &aggregation)
		return aggregation, limit
	case reflect.TypeFor[sdkmetric.PeriodicReader]():
		var exporter sdkmetric.Exporter
		if get(reader, "exporter", &exporter) && exporter != nil {
			aggregation = exporter.Aggregation
		}
		return aggregation, limit
	}
	for i := range reader.NumField() {
		if f := reader.Type().Field(i); f.Anonymous && f.Type.Implements(reflect.TypeFor[sdkmetric.Reader]()) {
			return selectorsOf(reader.Field(i))
		}
	}
	return nil, nil
}

// get copies a private field of the SDK. It reports false if the field does not have the expected
// type.
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

// aggregations returns the reader's aggregations of an instrument: one for each matching view, or
// the reader's own.
func (p pipeline) aggregations(i sdkmetric.Instrument) (all []sdkmetric.Aggregation, byView bool) {
	for _, view := range p.views {
		if stream, matches := view(i); matches {
			byView = true
			all = append(all, stream.Aggregation)
		}
	}
	if !byView {
		all = append(all, nil)
	}
	for n := range all {
		if all[n] == nil {
			all[n] = p.aggregation(i.Kind)
		}
	}
	return all, byView
}

// takesAsIs reports whether the reader would aggregate a histogram in its instrument's own buckets,
// with exemplars of sampled spans.
func (p pipeline) takesAsIs(i sdkmetric.Instrument) bool {
	all, byView := p.aggregations(i)
	return !byView && explicit(all[0]) && traceBased(p.exemplars)
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

// cardinalityLimit returns the reader's smallest limit of attribute sets for an instrument. 0 means
// no limit.
func (p pipeline) cardinalityLimit() int {
	least := 0
	for _, kind := range []sdkmetric.InstrumentKind{
		sdkmetric.InstrumentKindHistogram, sdkmetric.InstrumentKindObservableCounter, sdkmetric.InstrumentKindObservableUpDownCounter,
	} {
		limit, fallback := p.limit(kind)
		if fallback {
			limit = p.otherwise
		}
		least = leastLimit(least, limit)
	}
	return least
}

// leastLimit returns the smaller of two limits. 0 and negative limits mean no limit.
func leastLimit(a, b int) int {
	if a <= 0 || b > 0 && b < a {
		return max(b, 0)
	}
	return a
}

var sampledContext = trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
}))

// traceBased reports whether a filter behaves as the trace-based one, which accepts only
// measurements of sampled spans.
func traceBased(filter exemplar.Filter) bool {
	return filter != nil && filter(sampledContext) && !filter(context.Background())
}
