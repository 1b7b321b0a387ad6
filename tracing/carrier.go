package tracing

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Limits of the context in a message. A tracestate that is too long is ignored. A traceparent of
// another length invalidates the whole context.
const (
	traceparentLen   = 55
	maxTracestateLen = 512
)

const (
	traceparentKey = "traceparent"
	tracestateKey  = "tracestate"
)

// carrier holds the context of a message in the text form of W3C Trace Context.
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

// carrierOf returns sc as text. If sc is invalid, the carrier is empty.
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

// spanContext parses c. If c is malformed, the result is invalid.
func (c carrier) spanContext() trace.SpanContext {
	if len(c.traceparent) != traceparentLen {
		return trace.SpanContext{}
	}
	if len(c.tracestate) > maxTracestateLen {
		c.tracestate = ""
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), &c))
}
