// Package tracing makes spans for WebSocket messages.
//
//	tr, err := tracing.New(tracing.WithSampling(tracing.Handshake(), tracing.RateLimit(5, 10)))
//	...
//	conn, err := tr.Conn(r.Context(), c, tracing.JSON())
//	...
//	err = conn.Serve(ctx, func(ctx context.Context, typ websocket.MessageType, data []byte) error {
//		return conn.Send(ctx, typ, answer(ctx, data))
//	})
//
// No span stays open as long as a connection. A received message has a CONSUMER span named
// "process", which ends when its handler returns. A sent message has a PRODUCER span named "send".
// Both link to the span of the connection's handshake, whose context is passed to
// [Instrumentation.Conn]. They are never its children, because a connection can have a million
// messages, and no trace should have a million spans.
//
// # Context inside messages
//
// WebSocket messages have no headers. By default, nothing is added to messages. A connection can
// choose one of two forms: members of a JSON object ([JSON]), or an envelope that both sides
// negotiate in the handshake ([Subprotocols]). Both forms carry only a W3C trace context,
// traceparent and tracestate. They carry no baggage, and no fields of other propagators.
//
// By default, the context in a received message is not trusted. It becomes a link, and the span of
// the message is a root. With [TrustPeer], the context becomes the parent. If the context is
// malformed or too long, it is ignored, and the message is handled as usual.
//
// # Sampling
//
// Policies decide which messages have a span: [Handshake], [Ratio], [RateLimit], [ParentBased],
// [AllOf] and [AnyOf]. They decide before the tracer is called, so that a message without a span
// costs almost nothing. The counter ws.message.spans.suppressed counts the spans that policies left
// out.
//
// The handler of a message without a span still gets a valid span context, which is not sampled. A
// parent-based sampler therefore drops all spans below it. Without that context, they would become
// roots and be sampled by themselves.
package tracing
