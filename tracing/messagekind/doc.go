// Package messagekind reads what kind a message is from its first bytes: the
// type of a JSON message, the command of a STOMP frame, the name of a Socket.IO
// event. Package otelws counts messages by it on the wire, and package tracing
// has handler times and spans by it.
//
// A kind is a label of metrics, so the kinds are declared up front, and a peer can
// add none: a kind that is not declared is [Other], and a message without a kind is
// [None].
//
//	reader, kinds := messagekind.JSONMember("type"), []string{"chat", "typing"}
//	ws, err := otelws.New(otelws.WithMessageKinds(reader, kinds...))
//	tr, err := tracing.New(tracing.WithMessageKinds(reader, kinds...))
//
// A [Reader] of a protocol has the kinds that the protocol itself defines, which
// need not be declared.
package messagekind
