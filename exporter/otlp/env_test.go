package otlp_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/exporter/otlp"
)

func TestNewRefuses(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	noPEM := filepath.Join(t.TempDir(), "no.pem")
	check(t, os.WriteFile(noPEM, []byte("nothing"), 0o600))
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, tt := range []struct{ key, value, want string }{
		{"OTEL_SDK_DISABLED", "yes", "true or false"},
		{"OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"},
		{"OTEL_METRICS_EXPORTER", "otlp,console", "prometheus"},
		{"OTEL_METRICS_EXPORTER", "none,otlp", "none stands alone"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http", "http/protobuf"},
		{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", "grpc or http/protobuf"},
		{endpoint, "localhost:4318", "URL"},
		{endpoint, "127.0.0.1:4318", "URL"},
		{endpoint, "http://", "host"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://localhost", "http"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "authorization", "name=value"},
		{"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=1,b c=2", "header 2"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"},
		{"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd", "gzip or none"},
		{"OTEL_EXPORTER_OTLP_INSECURE", "1", "true or false"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "no/such.pem", "no/such.pem"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", noPEM, "PEM"},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", noPEM, "both or neither"},
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "absolute", "cumulative, delta or lowmemory"},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "native", "explicit_bucket_histogram"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "0", "milliseconds"},
		{"OTEL_METRIC_EXPORT_TIMEOUT", "-1", "milliseconds"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "-1", "1 to 1048576"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "1 to 2048"},
		{"OTEL_BSP_SCHEDULE_DELAY", "soon", "milliseconds"},
		{"OTEL_TRACES_SAMPLER", "sometimes", "parentbased_"},
		{"OTEL_TRACES_SAMPLER_ARG", "1.5", "0 to 1"},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN", "0 to 1"},
		{"OTEL_PROPAGATORS", "tracecontext,smoke", "tracecontext"},
		{"OTEL_RESOURCE_ATTRIBUTES", "tier", "name=value"},
	} {
		t.Run(tt.key+"="+tt.value, func(t *testing.T) {
			setenv(t, endpoint, "http://user:secret@localhost:4318", "OTEL_TRACES_SAMPLER", "traceidratio")
			setenv(t, tt.key, tt.value)
			push, err := otlp.New(context.Background())
			if err == nil || push != nil {
				t.Fatalf("New = %v, %v; want an error alone", push, err)
			}
			for _, want := range []string{tt.key, tt.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
				t.Errorf("error has more than one line, or a password: %q", err)
			}
		})
	}
	goleak.VerifyNone(t, leaks)
}

func TestEnabled(t *testing.T) {
	const all, url = "OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"
	for _, tt := range []struct {
		name            string
		env             []string
		traces, metrics bool
	}{
		{"nothing set", nil, false, false},
		{"endpoint", []string{all, url}, true, true},
		{"endpoint of traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url}, true, false},
		{"endpoint of metrics", []string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", url}, false, true},
		{"exporter without endpoint", []string{"OTEL_TRACES_EXPORTER", "otlp"}, true, false},
		{"pull only", []string{all, url, "OTEL_METRICS_EXPORTER", "prometheus"}, true, false},
		{"pull and push", []string{all, url, "OTEL_METRICS_EXPORTER", "prometheus, otlp"}, true, true},
		{"none", []string{all, url, "OTEL_TRACES_EXPORTER", "none", "OTEL_METRICS_EXPORTER", "none"}, false, false},
		{"disabled", []string{all, url, "OTEL_SDK_DISABLED", "TRUE"}, false, false},
		{"not disabled", []string{all, url, "OTEL_SDK_DISABLED", "false"}, true, true},
		{"empty is unset", []string{all, "", "OTEL_TRACES_EXPORTER", ""}, false, false},
		{"gRPC without a scheme", []string{all, "localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setenv(t, tt.env...)
			push := newPush(t)
			if push.TracesEnabled() != tt.traces || push.MetricsEnabled() != tt.metrics {
				t.Errorf("traces %v, metrics %v; want %v, %v", push.TracesEnabled(), push.MetricsEnabled(), tt.traces, tt.metrics)
			}
			_, span := push.TracerProvider().Tracer("test").Start(context.Background(), "a")
			if span.IsRecording() != tt.traces {
				t.Errorf("a span records: %v", span.IsRecording())
			}
			samples, _ := scrape(t, newExporter(t, push))
			if _, ok := samples["go_goroutines"]; !ok {
				t.Error("no scrape")
			}
			if _, ok := samples["otlp_metric_exports_total"]; ok != tt.metrics {
				t.Errorf("pushes are counted: %v", ok)
			}
			if _, err := push.MetricReader(nil); err == nil {
				t.Error("a reader in excess")
			}
		})
	}
}

func TestSampler(t *testing.T) {
	always := otlp.WithLinkedNotSampled(sdktrace.AlwaysSample())
	for _, tt := range []struct {
		sampler, arg              string
		opt                       otlp.Option
		root, linkedOn, linkedOff bool
	}{
		{"", "", nil, true, true, false},
		{"parentbased_always_on", "", nil, true, true, false},
		{"parentbased_always_off", "", nil, false, true, false},
		{"parentbased_traceidratio", "0", nil, false, true, false},
		{"parentbased_traceidratio", "0", always, false, true, true},
		{"parentbased_traceidratio", "", nil, true, true, false},
		{"ALWAYS_ON", "", nil, true, true, true},
		{"always_off", "", nil, false, false, false},
		{"traceidratio", "0", nil, false, false, false},
		{"always_on", "", otlp.WithSampler(sdktrace.NeverSample()), false, false, false},
	} {
		t.Run(tt.sampler+" "+tt.arg, func(t *testing.T) {
			setenv(t, "OTEL_TRACES_EXPORTER", "otlp", "OTEL_TRACES_SAMPLER", tt.sampler, "OTEL_TRACES_SAMPLER_ARG", tt.arg)
			var opts []otlp.Option
			if tt.opt != nil {
				opts = append(opts, tt.opt)
			}
			tracer := newPush(t, opts...).TracerProvider().Tracer("test")
			start := func(o ...trace.SpanStartOption) bool {
				_, span := tracer.Start(context.Background(), "message", o...) // never ended: nothing is exported
				return span.SpanContext().IsSampled()
			}
			link := func(flags trace.TraceFlags) trace.SpanStartOption {
				sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags})
				return trace.WithLinks(trace.Link{SpanContext: sc})
			}
			if root, on, off := start(), start(link(trace.FlagsSampled)), start(link(0)); root != tt.root || on != tt.linkedOn || off != tt.linkedOff {
				t.Errorf("sampled: root %v, linked to sampled %v, to unsampled %v; want %v, %v, %v", root, on, off, tt.root, tt.linkedOn, tt.linkedOff)
			}
		})
	}
}

func TestPropagator(t *testing.T) {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}})
	for value, want := range map[string]string{"": "traceparent", "b3, baggage": "b3", "none": ""} {
		t.Run(value, func(t *testing.T) {
			setenv(t, "OTEL_PROPAGATORS", value, "OTEL_SDK_DISABLED", "true")
			carrier := propagation.MapCarrier{}
			newPush(t).Propagator().Inject(trace.ContextWithSpanContext(context.Background(), sc), carrier)
			if _, ok := carrier[want]; ok != (want != "") || want == "" && len(carrier) > 0 {
				t.Errorf("injected %v, want %q", carrier, want)
			}
		})
	}
}
