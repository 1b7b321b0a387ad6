package otlp_test

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/otlp"
)

// bad is in every string that OTLP sends.
const bad = "\xff"

// badAttributes have a bad key, and values of each type that contains strings.
var badAttributes = []attribute.KeyValue{
	attribute.String("k"+bad, "v"),
	attribute.String("k", "v"+bad),
	attribute.StringSlice("strings", []string{"good", bad}),
	{Key: "slice", Value: attribute.SliceValue(attribute.StringValue(bad), attribute.IntValue(1))},
	{Key: "map", Value: attribute.MapValue(attribute.String(bad, bad))},
	attribute.Int("number", 7),
}

// An attribute without a key gets one.
func TestEmptyKey(t *testing.T) {
	backend := startReceiver(t, "grpc")
	push := newPush(t)
	exp := newExporter(t, push)
	c, err := exp.MeterProvider().Meter("m").Int64Counter("c")
	check(t, err)
	c.Add(t.Context(), 1, metric.WithAttributes(attribute.String("", "v")))
	check(t, otlp.Shutdown(testContext(t), push, exp))
	metrics, _ := backend.lastMetrics()
	if got := attributes(metrics["c"].GetSum().GetDataPoints()[0].GetAttributes()); got["exported_"] != "v" || len(got) != 1 {
		t.Errorf("the attributes are %q", got)
	}
}

// Invalid UTF-8 costs neither the other metrics of a push nor the other spans of a batch.
func TestInvalidUTF8(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			backend := startReceiver(t, protocol)
			setenv(t, "OTEL_METRIC_EXPORT_INTERVAL", longTime)
			push := newPush(t, otlp.WithResource(resource.NewSchemaless(badAttributes...)))
			view := sdkmetric.NewView(sdkmetric.Instrument{Name: "viewed"}, sdkmetric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("k" + bad)})
			exp := newExporter(t, push, exporter.WithView(view))

			m := exp.MeterProvider().Meter("scope"+bad, metric.WithInstrumentationAttributes(badAttributes...), metric.WithInstrumentationVersion(bad))
			sampled := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
			}))
			for _, name := range []string{"plain", "viewed"} {
				c, err := m.Int64Counter(name, metric.WithDescription(bad), metric.WithUnit(bad))
				check(t, err)
				for _, kv := range badAttributes {
					c.Add(sampled, 1, metric.WithAttributes(kv))
				}
			}
			good, err := exp.MeterProvider().Meter("good").Int64Counter("good")
			check(t, err)
			good.Add(t.Context(), 7)

			tracer := push.TracerProvider().Tracer("scope"+bad, trace.WithInstrumentationAttributes(badAttributes...))
			_, span := tracer.Start(t.Context(), "name"+bad, trace.WithAttributes(badAttributes...),
				trace.WithLinks(trace.Link{SpanContext: trace.SpanContextFromContext(sampled), Attributes: badAttributes}))
			span.AddEvent("event"+bad, trace.WithAttributes(badAttributes...))
			span.SetStatus(codes.Error, "status"+bad)
			span.End()
			_, span = tracer.Start(t.Context(), "good")
			span.End()
			check(t, otlp.Shutdown(testContext(t), push, exp))

			metrics, of := backend.lastMetrics()
			if got := number(metrics["good"]); got != 7 {
				t.Errorf("good is %v, want 7", got)
			}
			if of["k"] != "v\uFFFD" {
				t.Errorf("the resource is %v", of)
			}
			for _, name := range []string{"plain", "viewed"} {
				if got := len(metrics[name].GetSum().GetDataPoints()); got != len(badAttributes) {
					t.Errorf("%s has %d attribute sets, want %d", name, got, len(badAttributes))
				}
			}
			wantSpan(t, backend)
		})
	}
}

// wantSpan checks that the receiver has both spans, and the bad one with all its strings.
func wantSpan(t *testing.T, backend *receiver) {
	t.Helper()
	spans := make(map[string]*tracepb.Span)
	for _, rs := range backend.spans {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				spans[s.GetName()] = s
			}
		}
	}
	if spans["good"] == nil {
		t.Error("the good span is missing")
	}
	s := spans["name\uFFFD"]
	if s == nil {
		t.Fatalf("the bad span is missing in %v", spans)
	}
	for what, attrs := range map[string]map[string]string{
		"span":  attributes(s.GetAttributes()),
		"event": attributes(s.GetEvents()[0].GetAttributes()),
		"link":  attributes(s.GetLinks()[0].GetAttributes()),
	} {
		if attrs["k\uFFFD"] != "v" || attrs["k"] != "v\uFFFD" || len(attrs) != len(badAttributes) {
			t.Errorf("the %s has the attributes %q", what, attrs)
		}
	}
	if got := s.GetEvents()[0].GetName() + " " + s.GetStatus().GetMessage(); got != "event\uFFFD status\uFFFD" {
		t.Errorf("the names are %q", got)
	}
}
