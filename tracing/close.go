package tracing

import (
	"context"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Closed is the end of a connection.
type Closed struct {
	Code      websocket.StatusCode // 1005 and 1006 as RFC 6455 section 7.1.5 has them, 0 for one that is none
	Initiator string               // "peer", "local" or "timeout"
	Duration  time.Duration

	MessagesReceived, MessagesSent int64
	BytesReceived, BytesSent       int64 // on the wire, frame headers included
}

// Close makes the span of a connection's end: "websocket.close", a child of the
// handshake, whose span context ctx holds. It has no length of its own, and
// there is one exactly where the handshake's is sampled.
func (c *Connections) Close(ctx context.Context, e Closed) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return
	}
	tracer := c.tracer()
	if tracer == nil {
		return
	}
	_, span := tracer.Start(ctx, "websocket.close", trace.WithAttributes(
		attribute.Int("code", int(e.Code)),
		attribute.String("initiator", e.Initiator),
		attribute.Float64("ws.connection.duration", e.Duration.Seconds()),
		attribute.Int64("ws.messages.received", e.MessagesReceived),
		attribute.Int64("ws.messages.sent", e.MessagesSent),
		attribute.Int64("ws.bytes.received", e.BytesReceived),
		attribute.Int64("ws.bytes.sent", e.BytesSent),
	))
	if isError(e.Code) {
		span.SetAttributes(errorCode(e.Code))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// isError says whether a close code stands for a failure. Those of an
// application, from 3000 on, mean what it has them mean.
func isError(code websocket.StatusCode) bool {
	switch code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd,
		websocket.StatusServiceRestart, websocket.StatusTryAgainLater:
		return false
	}
	return code < 3000
}
