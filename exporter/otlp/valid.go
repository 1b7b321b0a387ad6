package otlp

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelws/otelws-go/exporter/internal/points"
)

// OTLP cannot encode a string that is not UTF-8. A single such string, such as a User-Agent that a
// client sends, would cost the whole request: all metrics of the process, or all spans of a batch.
// The functions of this file replace invalid bytes, and copy only what may have some.

// unnamed is the key of an attribute that has none, as in a scrape. OTLP forbids empty keys, and
// Prometheus refuses the whole request.
const unnamed attribute.Key = "exported_"

func validString(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// makeValid changes data in place, except its resource.
func makeValid(data *metricdata.ResourceMetrics) {
	for i := range data.ScopeMetrics {
		of := &data.ScopeMetrics[i]
		of.Scope = validScope(of.Scope)
		for j := range of.Metrics {
			m := &of.Metrics[j]
			m.Name, m.Unit, m.Description = validString(m.Name), validString(m.Unit), validString(m.Description)
			points.Each(m.Data,
				func(attrs *attribute.Set, _ time.Time) { *attrs = validSet(*attrs) },
				func(filtered *[]attribute.KeyValue) { *filtered = validAttributes(*filtered) })
		}
	}
}

// validSpan is a span with valid strings. Its resource must be valid.
type validSpan struct{ sdktrace.ReadOnlySpan }

func (s validSpan) Name() string { return validString(s.ReadOnlySpan.Name()) }

func (s validSpan) Attributes() []attribute.KeyValue {
	return validAttributes(s.ReadOnlySpan.Attributes())
}

func (s validSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = validString(status.Description)
	return status
}

func (s validSpan) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Name, events[i].Attributes = validString(events[i].Name), validAttributes(events[i].Attributes)
	}
	return events
}

func (s validSpan) Links() []sdktrace.Link {
	links := slices.Clone(s.ReadOnlySpan.Links())
	for i := range links {
		links[i].Attributes = validAttributes(links[i].Attributes)
	}
	return links
}

func (s validSpan) InstrumentationScope() instrumentation.Scope {
	return validScope(s.ReadOnlySpan.InstrumentationScope())
}

func validScope(s instrumentation.Scope) instrumentation.Scope {
	s.Name, s.Version, s.SchemaURL = validString(s.Name), validString(s.Version), validString(s.SchemaURL)
	s.Attributes = validSet(s.Attributes)
	return s
}

func validResource(res *resource.Resource) *resource.Resource {
	if isValidSet(*res.Set()) {
		return res
	}
	return resource.NewWithAttributes(res.SchemaURL(), validAttributes(res.Attributes())...)
}

func validSet(set attribute.Set) attribute.Set {
	if isValidSet(set) {
		return set
	}
	return attribute.NewSet(validAttributes(set.ToSlice())...)
}

func isValidSet(set attribute.Set) bool {
	for iter := set.Iter(); iter.Next(); {
		if !isValid(iter.Attribute()) {
			return false
		}
	}
	return true
}

// validAttributes returns kvs, or a valid copy.
func validAttributes(kvs []attribute.KeyValue) []attribute.KeyValue {
	if !slices.ContainsFunc(kvs, func(kv attribute.KeyValue) bool { return !isValid(kv) }) {
		return kvs
	}
	kvs = slices.Clone(kvs)
	for i, kv := range kvs {
		kvs[i] = attribute.KeyValue{Key: cmp.Or(attribute.Key(validString(string(kv.Key))), unnamed), Value: validValue(kv.Value)}
	}
	return kvs
}

func isValid(kv attribute.KeyValue) bool {
	switch kv.Value.Type() {
	case attribute.STRINGSLICE, attribute.SLICE, attribute.MAP:
		return false // a copy costs as much as a look
	}
	return kv.Key != "" && utf8.ValidString(string(kv.Key)) && utf8.ValidString(kv.Value.AsString())
}

func validValue(v attribute.Value) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(validString(v.AsString()))
	case attribute.STRINGSLICE:
		all := v.AsStringSlice()
		for i := range all {
			all[i] = validString(all[i])
		}
		return attribute.StringSliceValue(all)
	case attribute.SLICE:
		all := v.AsSlice()
		for i := range all {
			all[i] = validValue(all[i])
		}
		return attribute.SliceValue(all...)
	case attribute.MAP:
		return attribute.MapValue(validAttributes(v.AsMap())...)
	}
	return v
}
