package exporter_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/exporter"
)

// Two instruments with the same Prometheus name are both in every scrape, and can be
// distinguished.
func TestSameNames(t *testing.T) {
	ctx := context.Background()
	counter := func(t *testing.T, m metric.Meter, name string, opts ...metric.AddOption) {
		c, err := m.Int64Counter(name)
		check(t, err)
		c.Add(ctx, 1, opts...)
	}
	gauge := func(t *testing.T, m metric.Meter, name string) {
		g, err := m.Int64Gauge(name)
		check(t, err)
		g.Record(ctx, 2)
	}
	histogram := func(t *testing.T, m metric.Meter, name string) {
		h, err := m.Int64Histogram(name, metric.WithExplicitBucketBoundaries(1))
		check(t, err)
		h.Record(ctx, 3)
	}
	scopeOf := func(name, version string) string {
		return `otel_scope_name="` + name + `",otel_scope_schema_url="",otel_scope_version="` + version + `"`
	}
	tests := []struct {
		name   string
		record func(t *testing.T, mp metric.MeterProvider)
		want   []string
		opts   []exporter.Option
	}{
		{
			name: "in two scopes",
			record: func(t *testing.T, mp metric.MeterProvider) {
				counter(t, mp.Meter("b"), "shared")
				counter(t, mp.Meter("a", metric.WithInstrumentationVersion("2")), "shared")
				counter(t, mp.Meter("a"), "alone")
			},
			want: []string{`shared_total{` + scopeOf("a", "2") + `} 1`, `shared_total{` + scopeOf("b", "") + `} 1`, `alone_total 1`},
		},
		{
			name: "in two versions of a scope, with attributes of the scope's name",
			record: func(t *testing.T, mp metric.MeterProvider) {
				counter(t, mp.Meter("a", metric.WithInstrumentationVersion("1")), "shared", metric.WithAttributes(attribute.String("otel_scope_name", "mine")))
				counter(t, mp.Meter("a", metric.WithInstrumentationVersion("2"), metric.WithInstrumentationAttributes(attribute.String("name", "x"), attribute.String("part", "y"))), "shared")
			},
			want: []string{
				`shared_total{exported_otel_scope_name="mine",` + scopeOf("a", "1") + `} 1`,
				`shared_total{otel_scope_name="a",otel_scope_part="y",otel_scope_schema_url="",otel_scope_version="2"} 1`,
			},
		},
		{
			name: "of two types: the first one keeps the name",
			record: func(t *testing.T, mp metric.MeterProvider) {
				gauge(t, mp.Meter("z"), "shared")
				histogram(t, mp.Meter("a"), "shared")
			},
			want: []string{`shared 2`, `shared_histogram_sum 3`},
		},
		{
			name: "of two types in one scope",
			record: func(t *testing.T, mp metric.MeterProvider) {
				counter(t, mp.Meter("a"), "shared")
				gauge(t, mp.Meter("a"), "shared.total")
			},
			want: []string{`shared_total 1`, `shared_total_gauge 2`},
		},
		{
			name: "as the samples of a histogram",
			record: func(t *testing.T, mp metric.MeterProvider) {
				histogram(t, mp.Meter("a"), "shared")
				gauge(t, mp.Meter("a"), "shared.count")
				gauge(t, mp.Meter("a"), "other.bucket")
				histogram(t, mp.Meter("a"), "other")
			},
			want: []string{`shared_count 1`, `shared_count_gauge 2`, `other_bucket 2`, `other_histogram_count 1`},
		},
		{
			name: "as a collector",
			record: func(t *testing.T, mp metric.MeterProvider) {
				counter(t, mp.Meter("a"), "orders")
				gauge(t, mp.Meter("a"), "go.goroutines")
				gauge(t, mp.Meter("a"), "orders.total")
			},
			want: []string{`orders_total 0`, `orders_total{` + scopeOf("a", "") + `} 1`, `go_goroutines{` + scopeOf("a", "") + `} 2`, `orders_total_gauge 2`},
			opts: []exporter.Option{exporter.WithCollector(prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "Orders taken."}))},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log logBuffer
			exp := newExporter(t, append(tt.opts, exporter.WithLogger(log.logger()))...)
			tt.record(t, exp.MeterProvider())
			url := serveHandler(t, exp)
			for range 5 {
				wantSeries(t, scrape(t, url, textAccept), tt.want...)
			}
			if got := log.String(); got != "" {
				t.Errorf("something was logged: %s", got)
			}
		})
	}
}

// An attribute that cannot be a label gets another name, and its series is present.
func TestAttributesThatAreNoLabels(t *testing.T) {
	exp := newExporter(t)
	h, err := exp.MeterProvider().Meter("a").Int64Histogram("size", metric.WithExplicitBucketBoundaries(1), metric.WithDescription("Si\xffzes."))
	check(t, err)
	c, err := exp.MeterProvider().Meter("a").Int64Counter("sizes")
	check(t, err)
	for _, kv := range []attribute.KeyValue{
		attribute.String("le", "5"), attribute.String("__name__", "other"), attribute.String("é", "x"), attribute.String("bad", "\xff"),
	} {
		h.Record(context.Background(), 3, metric.WithAttributes(kv))
		c.Add(context.Background(), 1, metric.WithAttributes(kv))
	}
	url := serveHandler(t, exp)
	for _, accept := range []string{textAccept, openMetricsAccept} {
		wantSeries(t, scrape(t, url, accept),
			"# HELP size Si\uFFFDzes.",
			`size_bucket{exported_le="5",le="+Inf"} 1`, `size_count{exported_le="5"} 1`,
			`size_sum{exported_name_="other"} 3`, `size_sum{exported_="x"} 3`, "size_sum{bad=\"\uFFFD\"} 3",
			`sizes_total{le="5"} 1`,
		)
	}
}

// In OpenMetrics, the family of a counter has no _total in its name. A gauge may have
// that name too.
func TestOpenMetricsNamesAreDistinct(t *testing.T) {
	url := serveHandler(t, newExporter(t))
	for accept, typ := range map[string]string{textAccept: "counter", openMetricsAccept: "unknown"} {
		body := scrape(t, url, accept)
		wantSeries(t, body, "# TYPE go_memstats_alloc_bytes gauge", "# TYPE go_memstats_alloc_bytes_total "+typ, "go_memstats_alloc_bytes_total ")
		seen := map[string]bool{}
		for line := range strings.Lines(body) {
			if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
				if name, _, _ = strings.Cut(name, " "); seen[name] {
					t.Errorf("%s is there twice", name)
				}
				seen[name] = true
			}
		}
	}
}

// The log says once per instrument that the SDK's limit of attribute sets is
// exceeded.
func TestOverflowIsLogged(t *testing.T) {
	t.Setenv("OTEL_GO_X_CARDINALITY_LIMIT", "3")
	var log logBuffer
	exp := newExporter(t, exporter.WithLogger(log.logger()))
	c, err := exp.MeterProvider().Meter("a").Int64Counter("logins")
	check(t, err)
	for i := range 5 {
		c.Add(context.Background(), 1, metric.WithAttributes(attribute.Int("user", i)))
	}
	url := serveHandler(t, exp)
	for range 3 {
		wantSeries(t, scrape(t, url, textAccept), `logins_total{otel_metric_overflow="true"} 3`)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "instrument=logins scope=a") || !strings.Contains(got, "WithCardinalityLimit") {
		t.Errorf("the log is %q", got)
	}
}

// An attribute that a view removes, and that cannot be a label of an exemplar, does not cost the
// exemplar its trace.
func TestExemplarKeepsTrace(t *testing.T) {
	var refused []error
	old := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { refused = append(refused, err) }))
	defer otel.SetErrorHandler(old)
	exp := newExporter(t, exporter.WithView(func(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
		return sdkmetric.Stream{Name: i.Name, AttributeFilter: attribute.NewAllowKeysFilter()}, true
	}))
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	m := exp.MeterProvider().Meter("a")
	var want []string
	for i, kv := range []attribute.KeyValue{
		attribute.String("user", "x"), attribute.String("user", strings.Repeat("x", 1<<20)), attribute.String(strings.Repeat("k", 66), ""),
		attribute.String("user", "\xff"), attribute.String("bad\xff", "x"), attribute.String("", "x"), attribute.String("é", "x"),
		attribute.String("__name__", "x"), attribute.String("trace_id", "x"), attribute.String("user", strings.Repeat("é", 61)),
	} {
		name := fmt.Sprintf("c%d", i)
		c, err := m.Int64Counter(name)
		check(t, err)
		c.Add(ctx, 1, metric.WithAttributes(kv))
		h, err := m.Int64Histogram(name+".size", metric.WithExplicitBucketBoundaries(1))
		check(t, err)
		h.Record(ctx, 1, metric.WithAttributes(kv))
		label := ""
		if i == 0 || i == 9 {
			label = "user=\"" + kv.Value.AsString() + "\""
		}
		want = append(want, name+"_total", name+"_size_bucket", label)
	}
	body := scrape(t, serveHandler(t, exp), openMetricsAccept)
	for i := 0; i < len(want); i += 3 {
		for _, name := range want[i : i+2] {
			if !slices.ContainsFunc(strings.Split(body, "\n"), func(line string) bool {
				_, exemplar, _ := strings.Cut(line, " # ")
				return strings.HasPrefix(line, name) && strings.Contains(exemplar, `trace_id="01000000000000000000000000000000"`) && strings.Contains(exemplar, want[i+2])
			}) {
				t.Errorf("%s has no exemplar with its trace and %q", name, want[i+2])
			}
		}
	}
	if len(refused) > 0 {
		t.Errorf("errors: %v", refused)
	}
}
