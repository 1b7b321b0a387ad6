package tracing

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Bounds of what a message carries. A tracestate that is longer is left out,
// as is a traceparent, and with it all context.
const (
	traceparentLen   = 55
	maxTracestateLen = 512
)

const (
	traceparentKey = "traceparent"
	tracestateKey  = "tracestate"
)

// carrier is the context of a message, in W3C's text form.
type carrier struct{ traceparent, tracestate string }

func (c *carrier) Get(key string) string {
	switch key {
	case traceparentKey:
		return c.traceparent
	case tracestateKey:
		return c.tracestate
	}
	return ""
}

func (c *carrier) Set(key, value string) {
	switch key {
	case traceparentKey:
		c.traceparent = value
	case tracestateKey:
		c.tracestate = value
	}
}

func (c *carrier) Keys() []string { return []string{traceparentKey, tracestateKey} }

// carrierOf returns sc as text, and an empty carrier where sc is invalid.
func carrierOf(sc trace.SpanContext) (c carrier) {
	if !sc.IsValid() {
		return c
	}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), &c)
	if len(c.tracestate) > maxTracestateLen {
		c.tracestate = ""
	}
	return c
}

// spanContext returns what c says, which is invalid where c is malformed.
func (c carrier) spanContext() trace.SpanContext {
	if len(c.traceparent) != traceparentLen {
		return trace.SpanContext{}
	}
	if len(c.tracestate) > maxTracestateLen {
		c.tracestate = ""
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), &c))
}
