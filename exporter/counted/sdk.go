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
	limit       sdkmetric.CardinalityLimitSelector
	otherwise   int // the limit where limit has none
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

// selectorsOf returns the selectors of a reader. What the SDK asks for them is not exported, so that every other reader
// has one of the SDK's embedded.
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

// aggregations are those that the reader has of an instrument: one for each view that matches, and its own otherwise.
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

// takesAsIs says whether the reader would have a histogram with the buckets that its instrument asks for, and with
// exemplars of sampled spans.
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

// cardinalityLimit is the least limit of attribute sets that the reader has for an instrument, 0 for none.
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

// leastLimit returns the lesser of two limits, of which 0 and less are none.
func leastLimit(a, b int) int {
	if a <= 0 || b > 0 && b < a {
		return max(b, 0)
	}
	return a
}

var sampledContext = trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
	TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
}))

// traceBased says whether a filter is, or does as, the one that takes the exemplars of sampled spans.
func traceBased(filter exemplar.Filter) bool {
	return filter != nil && filter(sampledContext) && !filter(context.Background())
}
