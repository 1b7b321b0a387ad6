package exporter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/exporter"
)

func TestNewRefuses(t *testing.T) {
	missing := t.TempDir() + "/missing.yml"
	for _, tt := range []struct {
		name string
		opt  exporter.Option
		want []string
	}{
		{"nil option", nil, []string{"option", "nil"}},
		{"empty address", exporter.WithListenAddress(""), []string{"listen address", "host:port"}},
		{"no port", exporter.WithListenAddress("localhost"), []string{`"localhost"`, "host:port"}},
		{"empty port", exporter.WithListenAddress("localhost:"), []string{`"localhost:"`, "host:port"}},
		{"port too high", exporter.WithListenAddress("localhost:65536"), []string{`"localhost:65536"`, "0 to 65535"}},
		{"zero timeout", exporter.WithScrapeTimeout(0), []string{"scrape timeout 0s", "at least 1ms"}},
		{"negative timeout", exporter.WithScrapeTimeout(-time.Second), []string{"scrape timeout -1s", "at least 1ms"}},
		{"timeout without a unit", exporter.WithScrapeTimeout(10), []string{"scrape timeout 10ns", "at least 1ms", "10s"}},
		{"negative limit", exporter.WithCardinalityLimit(-1), []string{"cardinality limit -1", "0 for none"}},
		{"no scrapes", exporter.WithMaxScrapes(0), []string{"0 concurrent scrapes", "at least 1"}},
		{"nil reader function", exporter.WithReader(nil), []string{"reader", "nil"}},
		{"nil reader", exporter.WithReader(readerOf(nil, nil)), []string{"reader", "nil"}},
		{"reader fails", exporter.WithReader(readerOf(nil, errors.New("no such host"))), []string{"reader", "no such host"}},
		{"nil view", exporter.WithView(nil), []string{"view", "nil"}},
		{"nil collector", exporter.WithCollector(nil), []string{"collector", "nil"}},
		{"collector twice", exporter.WithCollector(collectors.NewGoCollector()), []string{"register collector", "one collector", "WithoutRuntimeMetrics"}},
		{
			"promhttp's name taken",
			exporter.WithCollector(prometheus.NewCounter(prometheus.CounterOpts{Name: "promhttp_metric_handler_errors_total"})),
			[]string{"register collector", "promhttp_metric_handler_errors_total"},
		},
		{"web configuration missing", exporter.WithWebConfigFile(missing), []string{"web configuration", missing}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exp, err := exporter.New(tt.opt)
			if err == nil || exp != nil {
				t.Fatalf("New = %v, %v; want an error alone", exp, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []exporter.Option
	}{
		{"nothing", nil},
		{"any port", []exporter.Option{exporter.WithListenAddress("127.0.0.1:0")}},
		{"every interface", []exporter.Option{exporter.WithListenAddress(":9091")}},
		{"IPv6", []exporter.Option{exporter.WithListenAddress("[::1]:9091")}},
		{"nil logger", []exporter.Option{exporter.WithLogger(nil)}},
		{"nil resource", []exporter.Option{exporter.WithResource(nil)}},
		{"no web configuration", []exporter.Option{exporter.WithWebConfigFile("")}},
		{"own runtime collector", []exporter.Option{
			exporter.WithoutRuntimeMetrics(), exporter.WithCollector(collectors.NewGoCollector()),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantSeries(t, scrape(t, serveHandler(t, newExporter(t, tt.opts...)), textAccept), "target_info{")
		})
	}
}

// In the text formats, a native histogram has a sum and a count, and no buckets.
func TestNativeHistograms(t *testing.T) {
	exp := newExporter(t, exporter.WithNativeHistograms())
	record(t, sampled, exp)
	if observe(exp.MeterProvider().Meter("example.com/sizes")) {
		t.Error("a counted histogram has explicit buckets")
	}
	body := scrape(t, serveHandler(t, exp), textAccept)
	wantSeries(t, body, `job_duration_seconds_bucket{le="+Inf"} 2`, "job_duration_seconds_sum 2.55", "job_duration_seconds_count 2")
	if strings.Contains(body, `job_duration_seconds_bucket{le="1"}`) {
		t.Error("there are explicit buckets")
	}
}

func TestCardinalityLimit(t *testing.T) {
	for limit, want := range map[int]string{3: `logins_total{otel_metric_overflow="true"} 3`, 0: `logins_total{user="4"} 1`} {
		t.Setenv("OTEL_GO_X_CARDINALITY_LIMIT", "4")
		exp := newExporter(t, exporter.WithCardinalityLimit(limit))
		c, err := exp.MeterProvider().Meter("a").Int64Counter("logins")
		check(t, err)
		for i := range 5 {
			c.Add(context.Background(), 1, metric.WithAttributes(attribute.Int("user", i)))
		}
		wantSeries(t, scrape(t, serveHandler(t, exp), textAccept), want)
	}
}
