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

// Pinned, so that names depend neither on the scraper nor on a global of another library.
var translation = otlptranslator.UnderscoreEscapingWithSuffixes

// translator is the producer of the Prometheus reader, and gives it all that the MeterProvider has. The Prometheus
// reader leaves out one of two instruments that come to the same name, whichever it finds last, and series with
// attributes that cannot be labels. Here every instrument has its place, and each time the same one:
//
//   - where several scopes, or a scope and a collector, come to one name, the scope's series have its labels;
//   - where their types differ as well, the first one keeps the name, and the others append their type;
//   - an attribute that cannot be a label is one under another name.
type translator struct {
	reader      *sdkmetric.ManualReader
	scopeLabels bool // on every series
	log         *errorLog
	overflows   points.OverflowLog

	mu     sync.Mutex
	owners map[string]string // families by the names of their samples, once given
	help   map[string]string // of families, as it was first given
	others map[string]bool   // families that collectors have
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

// reserve has the families of collectors keep their names.
func (t *translator) reserve(families []*dto.MetricFamily) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range families {
		t.own(f.GetName(), strings.ToLower(f.GetType().String()))
		t.others[f.GetName()] = true
	}
}

// own gives the names of a family's samples to it, if it can have them all.
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

// placed is a metric and where it comes from.
type placed struct {
	metric *metricdata.Metrics
	scope  instrumentation.Scope
}

// translate changes the metrics in place, which are the caller's alone, and returns those that Prometheus can have.
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
			points.Each(p.metric.Data, func(attrs *attribute.Set, _ time.Time) { *attrs = labelsOf(*attrs, labels) })
		}
	}
	for i := range scopes {
		scopes[i].Metrics = slices.DeleteFunc(scopes[i].Metrics, func(m metricdata.Metrics) bool { return m.Data == nil })
	}
	return scopes
}

// inOrderOfCreation orders metrics by the age of their instruments. The SDK has scopes in any order.
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
	})
	return first
}

// place gives a metric its name, and returns the one that it has in Prometheus.
func (t *translator) place(p placed) (string, error) {
	kind, typ := kindOf(p.metric.Data)
	original := p.metric.Name
	for _, suffix := range []string{"", "." + kind} {
		p.metric.Name = original + suffix
		namer := otlptranslator.NewMetricNamer("", translation)
		name, err := namer.Build(otlptranslator.Metric{Name: p.metric.Name, Unit: p.metric.Unit, Type: typ})
		if err != nil {
			return "", fmt.Errorf("instrument %q of scope %q is left out, since Prometheus has no name for it: %w", original, p.scope.Name, err)
		}
		if t.own(name, kind) {
			return name, nil
		}
	}
	return "", fmt.Errorf("instrument %q of scope %q is left out, since others of another type have its name: give it another one", original, p.scope.Name)
}

// kindOf returns the type that Prometheus has for a metric, and the one that decides about its name.
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

// scopeLabels are those by which the conventions tell scopes apart.
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

// labelsOf returns attrs such that each of them can be a label, with further ones.
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

// label returns kv with a name and a value that a label can have, and whether it had others. What Prometheus keeps for
// itself, and what labels of scopes are called, comes under the name that Prometheus gives to labels that are taken.
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
		return true // as nearly all do
	}
	var namer otlptranslator.LabelNamer
	name, err := namer.Build(key)
	return err == nil && !strings.HasPrefix(name, "__") && !(scoped && strings.HasPrefix(name, scopeLabelPrefix))
}
