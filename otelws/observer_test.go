package otelws

import (
	"context"
	"testing"

	"github.com/otelws/otelws-go/exporter"
)

// The exporter's meter reads the histograms of messages from the shards: its
// method is known by its signature alone, and without it an instrument records.
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
			t.Error("messages are recorded by an instrument")
		}
	}
}
