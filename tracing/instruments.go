package tracing

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// definition describes one instrument. server is its name for accepted connections, and client its
// name for dialed connections.
type definition struct {
	server, client string
	unit           string
	description    string
	bounds         []float64
}

// The instruments. The comments give their names in Prometheus.
var (
	// ws_message_process_duration_seconds
	processDuration = definition{
		server:      "ws.message.process.duration",
		client:      "ws.client.message.process.duration",
		unit:        "s",
		description: "Time to handle a received message.",
		bounds:      []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}
	// ws_message_spans_suppressed_total
	spansSuppressed = definition{
		server:      "ws.message.spans.suppressed",
		unit:        "{span}",
		description: "Message spans that a sampling policy dropped, by policy.",
	}
)

// instruments holds the instruments of one Instrumentation. The first index of process is 0 for
// accepted connections, and 1 for dialed ones.
type instruments struct {
	process    [2]metric.Float64Histogram
	suppressed [len(reasons)]struct {
		atomic.Int64
		_ [56]byte // pads to a cache line
	}
}

func newInstruments(meter metric.Meter) (*instruments, error) {
	in := &instruments{}
	d := processDuration
	var errs [4]error
	for k, name := range []string{d.server, d.client} {
		in.process[k], errs[k] = meter.Float64Histogram(name, metric.WithUnit(d.unit),
			metric.WithDescription(d.description), metric.WithExplicitBucketBoundaries(d.bounds...))
	}
	d = spansSuppressed
	counter, err := meter.Int64ObservableCounter(d.server, metric.WithUnit(d.unit), metric.WithDescription(d.description))
	errs[2] = err
	if err == nil {
		_, errs[3] = meter.RegisterCallback(in.observe(counter), counter)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("failed to create instruments: %w", err)
	}
	return in, nil
}

func (in *instruments) observe(counter metric.Int64Observable) metric.Callback {
	var options [len(reasons)][]metric.ObserveOption
	for r, name := range reasons {
		options[r] = []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(keyReason.String(name)))}
	}
	return func(_ context.Context, o metric.Observer) error {
		for r := range reasons {
			o.ObserveInt64(counter, in.suppressed[r].Load(), options[r]...)
		}
		return nil
	}
}
