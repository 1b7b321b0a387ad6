package tracing

import (
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// ScopeName is the name of the instrumentation scope of all spans and instruments.
const ScopeName = "github.com/otelws/otelws-go/tracing"

// Version is the version of the module, and of the instrumentation scope.
const Version = "0.1.0"

// Instrumentation makes the spans of messages. A process usually needs one. It is safe for
// concurrent use.
type Instrumentation struct {
	tracer      trace.Tracer
	policy      Policy
	instruments *instruments
	broadcast   *Messages

	kinds     *messagekind.Kinds                // nil if they are not read
	kindAttrs []attribute.KeyValue              // by place in kinds
	processed [][outcomes][]metric.RecordOption // by place in kinds, one without these
}

// New returns an Instrumentation. It returns an error if an option is invalid, if an instrument
// cannot be created, or if a provider panics.
func New(opts ...Option) (in *Instrumentation, err error) {
	defer func() {
		if v := recover(); v != nil {
			in, err = nil, fmt.Errorf("tracing: a provider panicked: %v", v)
		}
	}()
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	meter := cfg.meterProvider.Meter(ScopeName, metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(schemaURL))
	instruments, err := newInstruments(meter)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	i := &Instrumentation{
		tracer: cfg.tracerProvider.Tracer(ScopeName,
			trace.WithInstrumentationVersion(Version), trace.WithSchemaURL(schemaURL)),
		policy:      cfg.policy,
		instruments: instruments,
	}
	i.declare(cfg.kinds)
	i.broadcast = newMessages(i, trace.SpanContext{}, &connConfig{})
	return i, nil
}
