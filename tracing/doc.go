// Package tracing gives WebSocket messages spans.
//
//	tr, err := tracing.New(tracing.WithSampling(tracing.Handshake(), tracing.RateLimit(5, 10)))
//	...
//	conn, err := tr.Conn(r.Context(), c, tracing.JSON())
//	...
//	err = conn.Serve(ctx, func(ctx context.Context, typ websocket.MessageType, data []byte) error {
//		return conn.Send(ctx, typ, answer(ctx, data))
//	})
//
// No span lives as long as a connection. The span of a received message is a
// CONSUMER span named "process", which ends when its handler returns; that of a
// sent one is a PRODUCER span named "send". Each links to the span of the
// connection's handshake, which is the one in the context that Conn is given,
// and is never its child: a connection of a million messages is no trace of a
// million spans.
//
// # Context inside messages
//
// WebSocket messages have no headers. Nothing is added to them unless a
// connection asks for one of two forms: members of a JSON object ([JSON]), or
// an envelope that both sides agreed on in the handshake ([Subprotocols]).
// Either holds a W3C trace context, traceparent and tracestate, and nothing
// else: the forms leave no room for the fields of another propagator, and
// baggage does not leave the process by a message.
//
// What a peer sends is not believed: the context that a message carries becomes
// a link, and the message's span a root. [TrustPeer] makes it the parent.
// Context that is malformed or too long is passed over; the message is not.
//
// # Sampling
//
// Policies decide before the tracer is asked, so that a message without a span
// costs next to nothing: [Handshake], [Ratio], [RateLimit], [ParentBased], [AllOf]
// and [AnyOf]. The handler of such a message has a span context that is valid and
// not sampled, so that spans beneath it are dropped by a parent-based sampler,
// and do not become roots that are sampled by themselves. What is left out is
// counted by ws.message.spans.suppressed.
package tracing
