package exporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter/internal/points"
)

// translation is pinned, so that names depend neither on the scraper nor on the global setting of
// another library.
var translation = otlptranslator.UnderscoreEscapingWithSuffixes

// translator is the producer of the Prometheus reader, and gives it all metrics of the
// MeterProvider. Without it, the Prometheus reader would drop one of two instruments whose names
// become the same, an arbitrary one, and series whose attributes cannot be labels. The translator
// serves every instrument, under a name that never changes:
//
//   - If several scopes, or a scope and a collector, have one name, the series of the scopes get
//     scope labels.
//   - If the types differ, the oldest instrument keeps the name, and the type is appended to the
//     others' names.
//   - If an attribute cannot be a label, its label gets another name.
type translator struct {
	reader      *sdkmetric.ManualReader
	scopeLabels bool // on every series
	log         *errorLog
	overflows   points.OverflowLog

	mu     sync.Mutex
	owners map[string]string // family of each sample name, for good
	help   map[string]string // help text of each family: the first one stays
	others map[string]bool   // families of collectors
}

func newTranslator(reader *sdkmetric.ManualReader, scopeLabels bool, logger *slog.Logger) *translator {
	return &translator{
		reader:      reader,
		scopeLabels: scopeLabels,
		log:         &errorLog{logger: logger, msg: "failed to collect all metrics for a scrape"},
		overflows:   points.OverflowLog{Logger: logger},
		owners:      make(map[string]string),
		help:        make(map[string]string),
		others:      make(map[string]bool),
	}
}

// Produce implements sdkmetric.Producer.
func (t *translator) Produce(ctx context.Context) ([]metricdata.ScopeMetrics, error) {
	var data metricdata.ResourceMetrics
	if err := t.reader.Collect(ctx, &data); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		t.log.Println(err)
	}
	t.overflows.Check(data.ScopeMetrics)
	return t.translate(data.ScopeMetrics), nil
}

// leaveTo assigns the names of the collectors' families to the collectors.
func (t *translator) leaveTo(families []*dto.MetricFamily) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range families {
		t.own(f.GetName(), strings.ToLower(f.GetType().String()))
		t.others[f.GetName()] = true
	}
}

// own assigns all sample names of a family to it. It reports false, and assigns none, if another
// family has one of them.
func (t *translator) own(name, kind string) bool {
	samples, family := []string{name}, kind+" "+name
	switch kind {
	case "histogram":
		samples = append(samples, name+"_bucket", name+"_sum", name+"_count")
	case "summary":
		samples = append(samples, name+"_sum", name+"_count")
	}
	for _, s := range samples {
		if owner, ok := t.owners[s]; ok && owner != family {
			return false
		}
	}
	for _, s := range samples {
		t.owners[s] = family
	}
	return true
}

// placed is a metric and its scope.
type placed struct {
	metric *metricdata.Metrics
	scope  instrumentation.Scope
}

// translate changes the metrics in place, and removes those that Prometheus cannot have. The caller
// must own the metrics.
func (t *translator) translate(scopes []metricdata.ScopeMetrics) []metricdata.ScopeMetrics {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []placed
	for _, s := range scopes {
		for i := range s.Metrics {
			all = append(all, placed{&s.Metrics[i], s.Scope})
		}
	}
	slices.SortStableFunc(all, inOrderOfCreation)
	families := make(map[string][]placed)
	for _, p := range all {
		name, err := t.place(p)
		if err != nil {
			t.log.Println(err)
			p.metric.Data = nil
			continue
		}
		families[name] = append(families[name], p)
	}
	for name, family := range families {
		if _, ok := t.help[name]; !ok {
			t.help[name] = family[0].metric.Description
		}
		scoped := t.scopeLabels || t.others[name] || slices.ContainsFunc(family, func(p placed) bool { return p.scope != family[0].scope })
		for _, p := range family {
			var labels []attribute.KeyValue
			if scoped {
				labels = scopeLabels(p.scope)
			}
			p.metric.Description = t.help[name]
			points.Each(p.metric.Data,
				func(attrs *attribute.Set, _ time.Time) { *attrs = labelsOf(*attrs, labels) },
				func(filtered *[]attribute.KeyValue) { *filtered = exemplarLabels(*filtered) })
		}
	}
	for i := range scopes {
		scopes[i].Metrics = slices.DeleteFunc(scopes[i].Metrics, func(m metricdata.Metrics) bool { return m.Data == nil })
	}
	return scopes
}

// inOrderOfCreation sorts metrics by the age of their instruments, because the SDK returns scopes
// in random order.
func inOrderOfCreation(a, b placed) int {
	return cmp.Or(
		startOf(a.metric).Compare(startOf(b.metric)),
		cmp.Compare(a.scope.Name, b.scope.Name),
		cmp.Compare(a.scope.Version, b.scope.Version),
		cmp.Compare(a.metric.Name, b.metric.Name),
	)
}

func startOf(m *metricdata.Metrics) (first time.Time) {
	points.Each(m.Data, func(_ *attribute.Set, start time.Time) {
		if first.IsZero() || start.Before(first) {
			first = start
		}
	}, nil)
	return first
}

// place sets the metric's name, and returns its name in Prometheus.
func (t *translator) place(p placed) (string, error) {
	kind, typ := kindOf(p.metric.Data)
	original := p.metric.Name
	for _, suffix := range []string{"", "." + kind} {
		p.metric.Name = original + suffix
		namer := otlptranslator.NewMetricNamer("", translation)
		name, err := namer.Build(otlptranslator.Metric{Name: p.metric.Name, Unit: p.metric.Unit, Type: typ})
		if err != nil {
			return "", fmt.Errorf("left out instrument %q of scope %q, which has no valid Prometheus name: %w", original, p.scope.Name, err)
		}
		if t.own(name, kind) {
			return name, nil
		}
	}
	return "", fmt.Errorf("left out instrument %q of scope %q, because instruments of other types have its name: rename it", original, p.scope.Name)
}

// kindOf returns the Prometheus type of a metric, and the type that decides its name.
func kindOf(data metricdata.Aggregation) (kind string, typ otlptranslator.MetricType) {
	sum := func(monotonic bool) (string, otlptranslator.MetricType) {
		if monotonic {
			return "counter", otlptranslator.MetricTypeMonotonicCounter
		}
		return "gauge", otlptranslator.MetricTypeNonMonotonicCounter
	}
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		return sum(d.IsMonotonic)
	case metricdata.Sum[float64]:
		return sum(d.IsMonotonic)
	case metricdata.Gauge[int64], metricdata.Gauge[float64]:
		return "gauge", otlptranslator.MetricTypeGauge
	}
	return "histogram", otlptranslator.MetricTypeHistogram
}

const scopeLabelPrefix = "otel_scope_"

// scopeLabels returns the labels that identify a scope by OpenTelemetry's conventions.
func scopeLabels(s instrumentation.Scope) []attribute.KeyValue {
	labels := []attribute.KeyValue{
		attribute.String(scopeLabelPrefix+"name", s.Name),
		attribute.String(scopeLabelPrefix+"version", s.Version),
		attribute.String(scopeLabelPrefix+"schema_url", s.SchemaURL),
	}
	for _, kv := range s.Attributes.ToSlice() {
		switch kv.Key {
		case "name", "version", "schema_url":
		default:
			labels = append(labels, attribute.KeyValue{Key: scopeLabelPrefix + kv.Key, Value: kv.Value})
		}
	}
	return labels
}

// labelsOf returns attrs with names and values that labels can have, and the further labels.
func labelsOf(attrs attribute.Set, further []attribute.KeyValue) attribute.Set {
	var labels []attribute.KeyValue
	changed := len(further) > 0
	for iter := attrs.Iter(); iter.Next(); {
		kv, renamed := label(iter.Attribute(), len(further) > 0)
		labels, changed = append(labels, kv), changed || renamed
	}
	if !changed {
		return attrs
	}
	for _, kv := range further {
		kv, _ = label(kv, false)
		labels = append(labels, kv)
	}
	return attribute.NewSet(labels...)
}

// label returns kv with a name and a value that a label can have, and reports whether it changed
// kv. Reserved names, and names of scope labels, get the prefix exported_, as Prometheus does with
// names that are taken.
func label(kv attribute.KeyValue, scoped bool) (_ attribute.KeyValue, changed bool) {
	if !canBeLabel(string(kv.Key), scoped) {
		kv.Key, changed = "exported_"+kv.Key, true
	}
	if v := kv.Value.String(); !utf8.ValidString(v) {
		kv.Value, changed = attribute.StringValue(strings.ToValidUTF8(v, "\uFFFD")), true
	}
	return kv, changed
}

func canBeLabel(key string, scoped bool) bool {
	if !scoped && key != "" && (key[0] >= 'a' && key[0] <= 'z' || key[0] >= 'A' && key[0] <= 'Z') {
		return true // the common case, without allocation
	}
	var namer otlptranslator.LabelNamer
	name, err := namer.Build(key)
	return err == nil && !strings.HasPrefix(name, "__") && !(scoped && strings.HasPrefix(name, scopeLabelPrefix))
}

// exemplarRoom is how many characters the trace and the span leave of the 128 that the labels of an
// exemplar may have together.
const exemplarRoom = 128 - len("trace_id") - 32 - len("span_id") - 16

// exemplarLabels returns the attributes that can be labels of an exemplar. The Prometheus reader
// drops an exemplar, and with it the trace, if one of its attributes cannot.
func exemplarLabels(filtered []attribute.KeyValue) []attribute.KeyValue {
	var labels []attribute.KeyValue
	var namer otlptranslator.LabelNamer
	room := exemplarRoom
	for _, kv := range filtered {
		name, err := namer.Build(string(kv.Key))
		value := kv.Value.String()
		length := utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
		if err == nil && !strings.HasPrefix(name, "__") && utf8.ValidString(value) && length <= room {
			labels = append(labels, kv)
			room -= length
		}
	}
	return labels
}
