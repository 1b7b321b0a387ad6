//go:build unix

package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"pgregory.net/rapid"

	"github.com/otelws/otelws-go/exporter"
)

// hostileInstrument is an instrument with unusual or invalid properties.
type hostileInstrument struct {
	Kind, Name, Unit, Description, Scope, Version string
	Attributes, ScopeAttributes                   []attribute.KeyValue
	Bounds                                        []float64
	Value                                         float64
}

// words are texts that can break expositions, and texts that collide with the names
// of other instruments.
var words = []string{
	"", "le", "quantile", "__name__", "job", "instance", "healthy", "healthy.total", "healthy.bucket", "healthy.count", "size", "size.sum",
	"go.goroutines", "process_open_fds", "target.info", "promhttp.metric.handler.errors", "otel.scope.name", "otel_scope_version",
	"a.b", "a_b", "1a", "é", "_", "a\"b", "a\\b", "a\nb", "a{b}", "# HELP a", "\x00", "a\x00b", "\xff", "a b", "🐼", strings.Repeat("x", 300),
	"total", "created", "a.created", "a.info", "ratio", "exported_le", "name", "schema_url", "# EOF",
}

var units = append([]string{"1", "s", "By", "{thing}", "%", "By/s", "1/s", "/", "ms/", "total", "bucket"}, words...)

func hostileAttributes() *rapid.Generator[[]attribute.KeyValue] {
	return rapid.Custom(func(t *rapid.T) []attribute.KeyValue {
		var all []attribute.KeyValue
		for range rapid.IntRange(0, 3).Draw(t, "attributes") {
			key := attribute.Key(word(words).Draw(t, "key"))
			all = append(all, rapid.SampledFrom([]attribute.KeyValue{
				key.String(word(words).Draw(t, "value")), key.Float64(math.NaN()), key.Bool(true), key.StringSlice([]string{"\xff", "a;b", "\""}),
			}).Draw(t, "attribute"))
		}
		return all
	})
}

func word(known []string) *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(known), rapid.SampledFrom(known), rapid.String())
}

var hostile = rapid.Custom(func(t *rapid.T) hostileInstrument {
	return hostileInstrument{
		Kind:            rapid.SampledFrom([]string{"counter", "gauge", "updown", "histogram", "observable"}).Draw(t, "kind"),
		Name:            word(words).Draw(t, "name"),
		Unit:            word(units).Draw(t, "unit"),
		Description:     word(words).Draw(t, "description"),
		Scope:           word(words).Draw(t, "scope"),
		Version:         rapid.SampledFrom([]string{"", "1", "\xff\n\""}).Draw(t, "version"),
		Attributes:      hostileAttributes().Draw(t, "attributes"),
		ScopeAttributes: hostileAttributes().Draw(t, "scope attributes"),
		Bounds:          rapid.SampledFrom([][]float64{nil, {1}, {-1, 0, 1e300}, {1, math.Inf(1)}, {math.Inf(-1), 0}, {math.NaN()}, {2, 1}}).Draw(t, "bounds"),
		Value:           rapid.SampledFrom([]float64{0, 1, -1, 1e300, math.Inf(1), math.Inf(-1), math.NaN()}).Draw(t, "value"),
	}
})

// record creates the instrument and records once. Errors of the SDK are ignored.
func (h hostileInstrument) record(mp metric.MeterProvider) {
	ctx, attrs := context.Background(), metric.WithAttributes(h.Attributes...)
	m := mp.Meter(h.Scope, metric.WithInstrumentationVersion(h.Version), metric.WithInstrumentationAttributes(h.ScopeAttributes...))
	unit, description := metric.WithUnit(h.Unit), metric.WithDescription(h.Description)
	switch h.Kind {
	case "counter":
		i, _ := m.Float64Counter(h.Name, unit, description)
		i.Add(ctx, h.Value, attrs)
	case "gauge":
		i, _ := m.Float64Gauge(h.Name, unit, description)
		i.Record(ctx, h.Value, attrs)
	case "updown":
		i, _ := m.Int64UpDownCounter(h.Name, unit, description)
		i.Add(ctx, 1, attrs)
	case "histogram":
		i, _ := m.Float64Histogram(h.Name, unit, description, metric.WithExplicitBucketBoundaries(h.Bounds...))
		i.Record(ctx, h.Value, attrs)
	case "observable":
		_, _ = m.Float64ObservableCounter(h.Name, unit, description, metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(h.Value, attrs)
			o.Observe(h.Value)
			return errors.New(h.Name)
		}))
	}
}

// newHostile returns an exporter with healthy instruments of each type, created
// first, and the hostile instruments.
func newHostile(t testing.TB, instruments []hostileInstrument, opts ...exporter.Option) http.Handler {
	opts = append(opts, exporter.WithLogger(slog.New(slog.DiscardHandler)))
	exp := must(exporter.New(opts...))(t)
	m := exp.MeterProvider().Meter("example.com/healthy")
	healthy := must(m.Int64Counter("healthy"))(t)
	healthy.Add(t.Context(), 7)
	size := must(m.Int64Histogram("size", metric.WithExplicitBucketBoundaries(1)))(t)
	size.Record(t.Context(), 3)
	for _, i := range instruments {
		i.record(exp.MeterProvider())
	}
	return exp.Handler()
}

// forms are the formats that Prometheus requests, by name.
var forms = map[string]string{
	"text":        "text/plain;version=0.0.4",
	"UTF-8":       "text/plain;version=1.0.0;escaping=allow-utf-8",
	"OpenMetrics": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
	"protobuf":    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
}

// Prometheus's own parsers read the whole scrape of a process with any instruments.
// No series appears twice, and the healthy instruments are present.
func TestHostileInstrumentsParse(t *testing.T) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) // the callbacks report many errors
	rapid.Check(t, func(rt *rapid.T) {
		instruments := rapid.SliceOfN(hostile, 1, 8).Draw(rt, "instruments")
		var opts []exporter.Option
		if rapid.Bool().Draw(rt, "scope labels") {
			opts = append(opts, exporter.WithScopeLabels())
		}
		if rapid.Bool().Draw(rt, "collectors") {
			opts = append(opts, exporter.WithCollector(leaky{}))
		}
		handler := newHostile(t, instruments, opts...)
		for range 2 { // the second scrape must have the same names
			for name, accept := range forms {
				body, contentType := scrapeAs(handler, accept)
				series, err := parse(body, contentType)
				if err != nil {
					rt.Fatalf("%s: %v\n%s", name, err, body)
				}
				for of, want := range map[string]float64{"healthy_total": 7, "size_sum": 3, "size_count": 1} {
					if name == "protobuf" && of != "healthy_total" {
						continue // a native histogram is one sample
					}
					if !has(series, of, want) {
						rt.Fatalf("%s: no %s that is %v\n%s", name, of, want, body)
					}
				}
			}
		}
	})
}

// leaky is an unchecked collector with an invalid histogram.
type leaky struct{}

func (leaky) Describe(chan<- *client.Desc) {}

func (leaky) Collect(ch chan<- client.Metric) {
	desc := client.NewDesc("leaky", "Le\xffak.", []string{"le"}, nil)
	ch <- client.MustNewConstHistogram(desc, 1, 1, map[float64]uint64{1: 1}, "5")
}

func scrapeAs(h http.Handler, accept string) (body []byte, contentType string) {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.Bytes(), w.Header().Get("Content-Type")
}

// parse parses a scrape with Prometheus's parsers, and returns its samples.
func parse(body []byte, contentType string) (map[string]float64, error) {
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	types := map[string]bool{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch entry {
		case textparse.EntryType:
			name, _ := p.Type()
			if types[string(name)] && strings.HasPrefix(contentType, "application/openmetrics") {
				return nil, fmt.Errorf("family %s is there twice", name)
			}
			types[string(name)] = true
		case textparse.EntrySeries, textparse.EntryHistogram:
			var of labels.Labels
			p.Labels(&of)
			if name, twice := of.HasDuplicateLabelNames(); twice {
				return nil, fmt.Errorf("label %s of %s is there twice", name, of)
			}
			if !of.IsValid(model.UTF8Validation) {
				return nil, fmt.Errorf("%s is invalid", of)
			}
			if _, twice := all[of.String()]; twice {
				return nil, fmt.Errorf("%s is there twice", of)
			}
			value := math.NaN()
			if entry == textparse.EntrySeries {
				_, _, value = p.Series()
			}
			all[of.String()] = value
		}
	}
}

// has reports whether there is a sample with the name and the value, and any labels.
func has(series map[string]float64, name string, value float64) bool {
	for s, v := range series {
		if strings.HasPrefix(s, `{__name__="`+name+`"`) && v == value {
			return true
		}
	}
	return false
}

// A real Prometheus reports every target as up, and has the healthy instruments of
// each.
func TestHostileInstrumentsInPrometheus(t *testing.T) {
	t.Parallel()
	sets := [][]hostileInstrument{{}}
	for seed := range 60 {
		sets = append(sets, rapid.SliceOfN(hostile, 5, 10).Example(seed))
	}
	var targets []string
	for _, set := range sets {
		server := httptest.NewServer(newHostile(t, set))
		t.Cleanup(server.Close)
		targets = append(targets, strings.TrimPrefix(server.URL, "http://"))
	}
	s := newStack(t, fast)
	s.Edit = func(text string) string {
		return strings.Replace(text, s.At.Demos[0].Metrics+", "+s.At.Demos[1].Metrics, strings.Join(targets, ", "), 1)
	}
	must(s.Prometheus(t.Context()))(t)
	prom := ask(t, s.At.Prometheus)
	prom.await(`count(up{job="websocket"} == 1)`, equals(float64(len(sets))))
	prom.await(`count(healthy_total == 7)`, func(v float64) bool { return v >= float64(len(sets)) })
	prom.await(`count(count by (instance) (healthy_total == 7))`, equals(float64(len(sets))))
	prom.await(`sum(up{job="websocket"} == bool 0)`, equals(0))
}
