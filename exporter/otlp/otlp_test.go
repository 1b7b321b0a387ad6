package otlp_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/otlp"
)

func record(t *testing.T, exp *exporter.Exporter) {
	t.Helper()
	ctx := context.Background()
	meter := exp.MeterProvider().Meter("example.com/jobs")
	done, err := meter.Int64Counter("jobs.done", metric.WithUnit("{job}"))
	check(t, err)
	done.Add(ctx, 5, metric.WithAttributes(attribute.String("result", "ok")))
	duration, err := meter.Float64Histogram("job.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(.1, 1, 10))
	check(t, err)
	duration.Record(ctx, .05)
	duration.Record(ctx, 2.5)
	duration.Record(ctx, 20)
}

func TestEverythingArrives(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			r := startReceiver(t, protocol)
			setenv(t, "OTEL_EXPORTER_OTLP_HEADERS", "x-token=a%20secret")
			push := newPush(t, otlp.WithResource(resource.NewSchemaless(attribute.String("tier", "realtime"))))
			orders := prometheus.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "Orders taken."})
			orders.Add(7)
			exp := newExporter(t, push, exporter.WithCollector(orders))
			record(t, exp)
			endSpans(push, 3)
			samples, families := scrape(t, exp)
			check(t, otlp.Shutdown(testContext(t), push, exp))

			names, res := r.spanNames()
			if !slices.Equal(names, []string{"handshake", "handshake", "handshake"}) {
				t.Errorf("spans %q, want 3 handshakes", names)
			}
			metrics, metricsRes := r.lastMetrics()
			for _, res := range []map[string]string{res, metricsRes} {
				if res["service.name"] != "shop" || res["service.instance.id"] != "shop-1" || res["tier"] != "realtime" {
					t.Errorf("resource %v", res)
				}
			}
			for _, token := range r.tokens {
				if token != "a secret" {
					t.Errorf("header x-token is %q", token)
				}
			}
			for _, family := range families {
				own := strings.HasPrefix(family, "job") || family == "target_info"
				if !own && metrics[family] == nil {
					t.Errorf("%s is in the scrape and was not pushed", family)
				}
			}
			wantSameValues(t, samples, metrics)
			if got := number(metrics["otlp_spans_exported_total"]); got != 3 {
				t.Errorf("the last push counts %v exported spans, want 3", got)
			}
		})
	}
}

// wantSameValues compares the values that do not change by themselves.
func wantSameValues(t *testing.T, scraped map[string]float64, pushed map[string]*metricspb.Metric) {
	t.Helper()
	for sample, name := range map[string]string{
		`jobs_done_total{result="ok"}`: "jobs.done",
		"orders_total":                 "orders_total",
		"process_max_fds":              "process_max_fds",
		"process_start_time_seconds":   "process_start_time_seconds",
		"go_sched_gomaxprocs_threads":  "go_sched_gomaxprocs_threads",
	} {
		want, ok := scraped[sample]
		if got := number(pushed[name]); !ok || got != want {
			t.Errorf("%s: scraped %v (%v), pushed %v", sample, want, ok, got)
		}
	}
	for _, name := range []string{"jobs.done", "orders_total", "process_cpu_seconds_total"} {
		if !pushed[name].GetSum().GetIsMonotonic() {
			t.Errorf("%s is no counter: %v", name, pushed[name])
		}
	}
	h := pushed["job.duration"].GetHistogram().GetDataPoints()
	if len(h) != 1 || !slices.Equal(h[0].GetBucketCounts(), []uint64{1, 0, 1, 1}) || h[0].GetSum() != scraped["job_duration_seconds_sum"] {
		t.Errorf("job.duration is %v, scraped sum %v", h, scraped["job_duration_seconds_sum"])
	}
}

// number returns the value of a metric's only data point.
func number(m *metricspb.Metric) float64 {
	points := m.GetGauge().GetDataPoints()
	if m.GetSum() != nil {
		points = m.GetSum().GetDataPoints()
	}
	if len(points) != 1 {
		return -1
	}
	if i, ok := points[0].GetValue().(*metricspb.NumberDataPoint_AsInt); ok {
		return float64(i.AsInt)
	}
	return points[0].GetAsDouble()
}

func TestPushesAtInterval(t *testing.T) {
	r := startReceiver(t, "grpc")
	setenv(t, "OTEL_METRIC_EXPORT_INTERVAL", "5", "OTEL_BSP_SCHEDULE_DELAY", "5")
	push := newPush(t)
	exp := newExporter(t, push)
	record(t, exp)
	endSpans(push, 1)
	waitFor(t, "metrics and a span", func() bool {
		metrics, _ := r.lastMetrics()
		names, _ := r.spanNames()
		return metrics["jobs.done"] != nil && metrics["go_goroutines"] != nil && len(names) == 1
	})
}

func TestDeltaAndForceFlush(t *testing.T) {
	r := startReceiver(t, "http/protobuf")
	setenv(t, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
	exp := newExporter(t, newPush(t))
	flush := exp.MeterProvider().(interface{ ForceFlush(context.Context) error })
	for range 2 {
		record(t, exp)
		check(t, flush.ForceFlush(testContext(t)))
		metrics, _ := r.lastMetrics()
		if got := number(metrics["jobs.done"]); got != 5 {
			t.Errorf("delta of jobs.done is %v, want 5", got)
		}
		if metrics["go_goroutines"] == nil {
			t.Error("no runtime metrics beside deltas")
		}
	}
	check(t, exp.Shutdown(testContext(t)))
	if err := flush.ForceFlush(testContext(t)); !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		t.Errorf("ForceFlush after Shutdown: %v, want %v", err, sdkmetric.ErrReaderShutdown)
	}
}

func TestTLS(t *testing.T) {
	r := &receiver{}
	srv := httptest.NewTLSServer(r)
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	setenv(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", srv.URL+"/v1/traces", "OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
	push := newPush(t)
	endSpans(push, 1)
	check(t, push.Shutdown(testContext(t)))
	if names, _ := r.spanNames(); len(names) != 1 {
		t.Errorf("%d spans arrived, want 1", len(names))
	}
}

func TestMetricReaderAlone(t *testing.T) {
	r := startReceiver(t, "grpc")
	push := newPush(t)
	reader, err := push.MetricReader(nil)
	check(t, err)
	if _, err := push.MetricReader(nil); err == nil {
		t.Error("a second reader over one exporter")
	}
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(resource.NewSchemaless(attribute.String("service.instance.id", ""), attribute.String("host.name", "\xff"))))
	c, err := mp.Meter("example.com/jobs").Int64Counter("jobs.done")
	check(t, err)
	c.Add(context.Background(), 1)
	check(t, otlp.Shutdown(testContext(t), push, mp))
	metrics, res := r.lastMetrics()
	if number(metrics["jobs.done"]) != 1 || len(metrics) != 1 {
		t.Errorf("pushed %v, want jobs.done alone", metrics)
	}
	if len(res["service.instance.id"]) != 36 {
		t.Errorf("the instance is called %q", res["service.instance.id"])
	}
	if res["host.name"] != "\uFFFD" {
		t.Errorf("the host is called %q", res["host.name"])
	}
}
