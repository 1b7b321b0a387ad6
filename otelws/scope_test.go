package otelws_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// Metrics and spans use the same version of the semantic conventions.
func TestSchemaURL(t *testing.T) {
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewSpanRecorder()
	ws, err := otelws.New(
		otelws.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
		otelws.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
	)
	if err != nil {
		t.Fatal(err)
	}
	otelwstest.Pair(t, ws, nil, nil)
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	var scopes []instrumentation.Scope
	for _, sm := range rm.ScopeMetrics {
		scopes = append(scopes, sm.Scope)
	}
	for _, s := range spans.Started() {
		scopes = append(scopes, s.InstrumentationScope())
	}
	if len(scopes) < 2 {
		t.Fatalf("the scopes are only %v", scopes)
	}
	for _, s := range scopes {
		if s.SchemaURL == "" || s.SchemaURL != scopes[0].SchemaURL {
			t.Errorf("scope %s has the schema URL %q, but %s has %q", s.Name, s.SchemaURL, scopes[0].Name, scopes[0].SchemaURL)
		}
	}
}
