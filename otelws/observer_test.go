package otelws

import (
	"context"
	"testing"

	"github.com/otelws/otelws-go/exporter"
)

// The exporter reads the histograms of messages from the connections' counters. otelws
// knows the method of the exporter's meter only by its signature. If they differ, an
// instrument records instead.
func TestExporterObserves(t *testing.T) {
	exp, err := exporter.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exp.Shutdown(context.Background()) })
	ws, err := New(WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*side{ws.server, ws.client} {
		if s.recordsMessages {
			t.Error("an instrument records the messages, so the exporter's method is not found")
		}
	}
}
