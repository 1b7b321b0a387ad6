package tracing

import (
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// unsampled returns the span context for a message without a span: the parent's, with the sampled
// flag removed, or a new one if there is no parent. It is valid, so that a parent-based sampler
// drops the spans below it. It is new for each message, so that log lines of one message share a
// trace ID.
func unsampled(parent trace.SpanContext) trace.SpanContext {
	if parent.IsValid() {
		return parent.WithTraceFlags(parent.TraceFlags() &^ trace.FlagsSampled)
	}
	var c trace.SpanContextConfig
	binary.LittleEndian.PutUint64(c.TraceID[:8], rand.Uint64()|1) // never zero
	binary.LittleEndian.PutUint64(c.TraceID[8:], rand.Uint64())
	binary.LittleEndian.PutUint64(c.SpanID[:], rand.Uint64()|1)
	c.TraceFlags = trace.FlagsRandom
	return trace.NewSpanContext(c)
}
