package span

import (
	"context"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Closed describes the end of a connection.
type Closed struct {
	Code      websocket.StatusCode // RFC 6455 section 7.1.5, with 1005 and 1006; 0 for an invalid code
	Initiator string               // "peer", "local" or "timeout"
	Duration  time.Duration

	MessagesReceived, MessagesSent int64
	BytesReceived, BytesSent       int64 // on the wire, frame headers included
}

// Close records the end of a connection, as a span "websocket.close" without duration. ctx must
// hold the span context of the handshake, which becomes the parent. Close makes a span only if the
// handshake was sampled.
func (s *Source) Close(ctx context.Context, e Closed) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return
	}
	defer contain(func() {})
	tracer := s.tracer()
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

// isError reports whether a close code means a failure. The codes from 3000 on are defined by
// applications, and do not count as failures.
func isError(code websocket.StatusCode) bool {
	switch code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd,
		websocket.StatusServiceRestart, websocket.StatusTryAgainLater:
		return false
	}
	return code < 3000
}
