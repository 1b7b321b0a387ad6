package tracing

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// ScopeName is the instrumentation scope of the spans and instruments.
const ScopeName = "github.com/otelws/otelws-go/tracing"

// Version is the version of the instrumentation scope, and of the module.
const Version = "0.1.0"

// Instrumentation makes the spans of messages. It is made by [New], once for a
// process as a rule, and is safe for concurrent use.
type Instrumentation struct {
	tracer      trace.Tracer
	policy      Policy
	instruments *instruments
	broadcast   *Messages

	kinds     *messagekind.Kinds                // nil where they are not read
	kindAttrs []attribute.KeyValue              // by place in kinds
	processed [][outcomes][]metric.RecordOption // by place in kinds, one without these
}

// New returns an Instrumentation, or an error that says what is wrong with the
// options.
func New(opts ...Option) (*Instrumentation, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	meter := cfg.meterProvider.Meter(ScopeName, metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(SchemaURL))
	in, err := newInstruments(meter)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	i := &Instrumentation{
		tracer: cfg.tracerProvider.Tracer(ScopeName,
			trace.WithInstrumentationVersion(Version), trace.WithSchemaURL(SchemaURL)),
		policy:      cfg.policy,
		instruments: in,
	}
	i.declare(cfg.kinds)
	i.broadcast = newMessages(i, trace.SpanContext{}, &connConfig{})
	return i, nil
}
