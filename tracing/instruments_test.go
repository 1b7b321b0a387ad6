package tracing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing"
)

// Dashboards are built on these names, types and buckets.
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
