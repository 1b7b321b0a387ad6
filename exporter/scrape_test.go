package exporter_test

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/exporter"
)

var sampled = trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
	TraceID:    trace.TraceID{0x01, 0x02, 0x03, 0x04, 15: 0x10},
	SpanID:     trace.SpanID{0x0a, 0x0b, 7: 0x0c},
	TraceFlags: trace.FlagsSampled,
}))

// record creates one instrument of each kind with its own form in a scrape.
func record(t *testing.T, ctx context.Context, exp *exporter.Exporter) {
	t.Helper()
	meter := exp.MeterProvider().Meter("example.com/jobs", metric.WithInstrumentationVersion("0.1.0"))
	active, err := meter.Int64UpDownCounter("jobs.active", metric.WithUnit("{job}"), metric.WithDescription("Jobs that run now."))
	check(t, err)
	done, err := meter.Int64Counter("jobs.done", metric.WithUnit("{job}"), metric.WithDescription("Jobs that ended."))
	check(t, err)
	duration, err := meter.Float64Histogram("job.duration", metric.WithUnit("s"), metric.WithDescription("How long a job took."),
		metric.WithExplicitBucketBoundaries(.1, 1, 10))
	check(t, err)
	_, err = meter.Int64ObservableCounter("job.io", metric.WithUnit("By"), metric.WithDescription("Bytes that jobs moved."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(4096, metric.WithAttributes(attribute.String("network.io.direction", "receive")))
			return nil
		}))
	check(t, err)

	active.Add(ctx, 3)
	active.Add(ctx, -1)
	done.Add(ctx, 5, metric.WithAttributes(attribute.String("result", "ok")))
	done.Add(ctx, 1, metric.WithAttributes(attribute.String("result", `said "no"`)))
	duration.Record(ctx, .05)
	duration.Record(ctx, 2.5)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	exemplarTime  = regexp.MustCompile(`(?m)( # \{.*\} \S+) \S+$`)
	exemplarOrder = regexp.MustCompile(`\{(span_id="\w+"),(trace_id="\w+")\}`)
	sdkVersion    = regexp.MustCompile(`telemetry_sdk_version="[^"]*"`)
	instanceID    = regexp.MustCompile(`service_instance_id="[0-9a-f-]{36}"`)
)

// mask replaces values that depend on the clock, the process and the version of the
// SDK. It also orders the labels of exemplars, whose order varies.
func mask(body string) string {
	body = exemplarOrder.ReplaceAllString(body, "{$2,$1}")
	body = exemplarTime.ReplaceAllString(body, "$1 TIME")
	body = instanceID.ReplaceAllString(body, `service_instance_id="UUID"`)
	return sdkVersion.ReplaceAllString(body, `telemetry_sdk_version="VERSION"`)
}

func TestScrapeGolden(t *testing.T) {
	for _, tt := range []struct {
		name, accept string
		opts         []exporter.Option
	}{
		{"text", textAccept, nil},
		{"openmetrics", openMetricsAccept, nil},
		{"scope", textAccept, []exporter.Option{exporter.WithScopeLabels()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exp := newExporter(t, append(tt.opts, exporter.WithoutRuntimeMetrics())...)
			record(t, sampled, exp)
			got := scrape(t, serveHandler(t, exp), tt.accept)
			wantGolden(t, "testdata/"+tt.name+".txt", mask(got))
		})
	}
}

func TestNamesDoNotDependOnScraper(t *testing.T) {
	exp := newExporter(t, exporter.WithoutRuntimeMetrics())
	record(t, sampled, exp)
	url := serveHandler(t, exp)
	for _, accept := range []string{
		"",
		"*/*",
		textAccept + ";escaping=allow-utf-8",
		"text/plain;version=1.0.0;escaping=allow-utf-8",
		openMetricsAccept + ";escaping=allow-utf-8",
		openMetricsAccept + ";escaping=values",
	} {
		wantSeries(t, scrape(t, url, accept),
			`jobs_active 2`,
			`jobs_done_total{result="ok"} 5`,
			`job_duration_seconds_count 2`,
			`job_io_bytes_total{network_io_direction="receive"} 4096`,
		)
	}
}

func TestExemplarNeedsSampledSpanAndOpenMetrics(t *testing.T) {
	const traceID = `trace_id="01020304000000000000000000000010"`
	sampledExp := newExporter(t, exporter.WithoutRuntimeMetrics())
	record(t, sampled, sampledExp)
	url := serveHandler(t, sampledExp)
	if body := scrape(t, url, openMetricsAccept); !strings.Contains(body, traceID) {
		t.Errorf("no exemplar in the OpenMetrics form:\n%s", body)
	}
	if body := scrape(t, url, textAccept); strings.Contains(body, "trace_id") {
		t.Errorf("exemplar in the text form:\n%s", body)
	}

	exp := newExporter(t, exporter.WithoutRuntimeMetrics())
	unsampled := trace.SpanContextFromContext(sampled).WithTraceFlags(0)
	record(t, trace.ContextWithSpanContext(context.Background(), unsampled), exp)
	if body := scrape(t, serveHandler(t, exp), openMetricsAccept); strings.Contains(body, "trace_id") {
		t.Errorf("exemplar of an unsampled span:\n%s", body)
	}
}

func TestTargetInfo(t *testing.T) {
	exp := newExporter(t, exporter.WithResource(resource.NewWithAttributes("https://example.com/schema/1",
		attribute.String("tier", "realtime"), attribute.String("service.namespace", "cart"))))
	body := scrape(t, serveHandler(t, exp), textAccept)
	line := regexp.MustCompile(`(?m)^target_info\{.*\} 1$`).FindString(body)
	for _, label := range []string{
		`service_name="shop"`,         // from the environment
		`service_version="1.2.3"`,     // from the environment
		`service_namespace="cart"`,    // from the caller
		`tier="realtime"`,             // the caller overrides the environment
		`telemetry_sdk_language="go"`, // from the SDK
	} {
		if !strings.Contains(line, label) {
			t.Errorf("target_info lacks %s: %q", label, line)
		}
	}
}

// A resource attribute that cannot be a label gets another name.
func TestTargetInfoOfHostileResource(t *testing.T) {
	exp := newExporter(t, exporter.WithResource(resource.NewSchemaless(attribute.String("tier", "realtime"),
		attribute.String("é", "x"), attribute.String("__name__", "other"), attribute.String("_", "y"), attribute.String("bad", "\xff"), attribute.String("a b", "\"\n"))))
	for _, accept := range []string{textAccept, openMetricsAccept} {
		body := scrape(t, serveHandler(t, exp), accept)
		line := regexp.MustCompile(`(?m)^target_info\{.*\} 1(\.0)?$`).FindString(body)
		for _, label := range []string{`tier="realtime"`, `exported_name_="other"`, `exported_="x;y"`, "bad=\"\uFFFD\"", `a_b="\"\n"`} {
			if !strings.Contains(line, label) {
				t.Errorf("target_info lacks %s: %q", label, line)
			}
		}
	}
}

func TestRuntimeMetrics(t *testing.T) {
	body := scrape(t, serveHandler(t, newExporter(t)), textAccept)
	if runtime.GOOS == "linux" {
		wantSeries(t, body,
			"process_open_fds ",
			"process_max_fds ",
			"process_cpu_seconds_total ",
			"process_resident_memory_bytes ",
		)
	}
	wantSeries(t, body,
		"process_start_time_seconds ",
		"go_goroutines ",
		"go_memstats_heap_inuse_bytes ",
		"go_gc_duration_seconds_count ",
		"go_gc_heap_live_bytes ",
		"go_cpu_classes_gc_total_cpu_seconds_total ",
		"go_sched_latencies_seconds_bucket{",
		"go_sched_pauses_total_gc_seconds_bucket{",
		"go_sched_gomaxprocs_threads ",
		`go_info{version="go`,
		"go_build_info{",
	)

	body = scrape(t, serveHandler(t, newExporter(t, exporter.WithoutRuntimeMetrics())), textAccept)
	if found := regexp.MustCompile(`(?m)^(go|process)_.*`).FindString(body); found != "" {
		t.Errorf("runtime metric in spite of WithoutRuntimeMetrics: %s", found)
	}
}

func TestPromlint(t *testing.T) {
	exp := newExporter(t)
	record(t, sampled, exp)
	problems, err := promlint.New(strings.NewReader(scrape(t, serveHandler(t, exp), textAccept))).Lint()
	check(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestCollectorAndView(t *testing.T) {
	own := prometheus.NewRegistry()
	orders := prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "Orders taken."})
	orders.Add(7)
	own.MustRegister(orders)
	exp := newExporter(t, exporter.WithCollector(own), exporter.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: "job.io"}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})))
	record(t, sampled, exp)
	body := scrape(t, serveHandler(t, exp), textAccept)
	wantSeries(t, body, "orders_total 7", "jobs_active 2")
	if strings.Contains(body, "job_io_bytes_total") {
		t.Error("the view did not drop job.io")
	}
}

type failing struct{ prometheus.Gauge }

func (f failing) Collect(ch chan<- prometheus.Metric) {
	for range 1000 {
		ch <- prometheus.NewInvalidMetric(f.Desc(), errors.New("sensor unplugged"))
	}
}

type panicking struct{ prometheus.Gauge }

func (panicking) Collect(chan<- prometheus.Metric) { panic("sensor on fire") }

func TestFailuresCostOnlyTheirOwnSeries(t *testing.T) {
	gauge := func(name string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "A sensor."})
	}
	for _, tt := range []struct {
		name      string
		collector prometheus.Collector
		wantLog   string
	}{
		{"error", failing{gauge("sensor")}, "sensor unplugged"},
		{"panic", panicking{gauge("sensor")}, "sensor on fire"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log logBuffer
			exp := newExporter(t, exporter.WithLogger(log.logger()), exporter.WithCollector(tt.collector))
			record(t, sampled, exp)
			url := serveHandler(t, exp)
			for range 50 {
				wantSeries(t, scrape(t, url, textAccept), "jobs_active ", `jobs_done_total{result="ok"} 5`, "go_goroutines ")
			}
			wantSeries(t, scrape(t, url, textAccept), `promhttp_metric_handler_errors_total{cause="gathering"} 50`)
			got := log.String()
			if !strings.Contains(got, tt.wantLog) {
				t.Errorf("log lacks %q:\n%s", tt.wantLog, got)
			}
			// The log has one line per 10 s. A slow machine may have two.
			if n := strings.Count(got, "\n"); n > 3 {
				t.Errorf("%d log lines for 51 scrapes", n)
			}
			if len(got) > 10<<10 {
				t.Errorf("%d bytes of log for 51 scrapes", len(got))
			}
		})
	}
}

func TestCallbackErrorKeepsOtherSeries(t *testing.T) {
	exp := newExporter(t)
	meter := exp.MeterProvider().Meter("example.com/failing")
	_, err := meter.Int64ObservableGauge("sensor", metric.WithInt64Callback(func(context.Context, metric.Int64Observer) error {
		return errors.New("sensor unplugged")
	}))
	check(t, err)
	record(t, sampled, exp)
	wantSeries(t, scrape(t, serveHandler(t, exp), textAccept), "jobs_active 2", "job_io_bytes_total{")
}

func TestShutdown(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	exp := newExporter(t, exporter.WithReader(readerOf(reader, nil)))
	record(t, sampled, exp)
	var data metricdata.ResourceMetrics
	check(t, reader.Collect(context.Background(), &data))
	if len(data.ScopeMetrics) != 1 || len(data.ScopeMetrics[0].Metrics) != 4 {
		t.Errorf("further reader got %+v, want the four instruments of one scope", data.ScopeMetrics)
	}

	url := serveHandler(t, exp)
	for range 3 {
		if err := exp.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := reader.Collect(context.Background(), &data); !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		t.Errorf("further reader after Shutdown: %v, want %v", err, sdkmetric.ErrReaderShutdown)
	}
	body := scrape(t, url, textAccept)
	wantSeries(t, body, "go_goroutines ")
	if strings.Contains(body, "jobs_active") {
		t.Error("instruments in a scrape after Shutdown")
	}
}

type stuckReader struct{ sdkmetric.Reader }

func (stuckReader) Shutdown(context.Context) error { return errors.New("queue full") }

func TestShutdownReportsReaderError(t *testing.T) {
	exp, err := exporter.New(exporter.WithReader(readerOf(stuckReader{sdkmetric.NewManualReader()}, nil)))
	check(t, err)
	first, second := exp.Shutdown(context.Background()), exp.Shutdown(context.Background())
	if first == nil || !strings.Contains(first.Error(), "queue full") || second != first {
		t.Errorf("Shutdown: %v, then %v; want the reader's error twice", first, second)
	}
}
