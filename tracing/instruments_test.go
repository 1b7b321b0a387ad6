package tracing_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing"
)

// Dashboards depend on these names, types and buckets.
func TestInstruments(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	s := newSetUp(t, tracing.WithMeterProvider(m.MeterProvider()))
	for _, opts := range [][]tracing.ConnOption{nil, {tracing.Dialed()}} {
		messages, err := s.Messages(s.ctx, opts...)
		if err != nil {
			t.Fatal(err)
		}
		_, _, p := messages.StartReceive(s.ctx, text, nil)
		p.End(nil)
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		line := fmt.Sprint(f.GetName(), " ", f.GetType(), " ", f.GetUnit())
		for _, metric := range f.GetMetric() {
			for _, b := range metric.GetHistogram().GetBucket() {
				line += fmt.Sprint(" ", b.GetUpperBound())
			}
			for _, l := range metric.GetLabel() {
				line += " " + l.GetValue()
			}
		}
		got = append(got, strings.TrimSpace(line))
	}
	const bounds = " 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10"
	want := []string{
		"ws_client_message_process_duration_seconds HISTOGRAM " + bounds,
		"ws_message_process_duration_seconds HISTOGRAM " + bounds,
		"ws_message_spans_suppressed_total COUNTER  handshake parent rate ratio",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The exemplar of the handler's time has the trace of its message, not of the
// handshake.
func TestProcessDurationExemplar(t *testing.T) {
	exp, err := exporter.New(exporter.WithoutRuntimeMetrics())
	if err != nil {
		t.Fatal(err)
	}
	s := newSetUp(t, tracing.WithMeterProvider(exp.MeterProvider()))
	messages, err := s.Messages(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, _, p := messages.StartReceive(context.Background(), text, nil)
	p.End(nil)
	ended := s.recorder.Ended()
	id := ended[len(ended)-1].SpanContext().TraceID()
	if id == trace.SpanContextFromContext(s.ctx).TraceID() {
		t.Fatal("the message is in the trace of the handshake")
	}

	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	w := httptest.NewRecorder()
	exp.Handler().ServeHTTP(w, r)
	found := false
	for line := range strings.Lines(w.Body.String()) {
		found = found || strings.HasPrefix(line, "ws_message_process_duration_seconds_bucket") &&
			strings.Contains(line, `trace_id="`+id.String()+`"`)
	}
	if !found {
		t.Errorf("no exemplar of trace %s in\n%s", id, w.Body)
	}
}
