// Package messagekind reads the kind of a message from its first bytes: the type of a JSON message,
// the command of a STOMP frame, the name of a Socket.IO event. Package otelws counts messages by
// kind. Package tracing records the times of handlers, and spans, by kind.
//
// A kind is a label of metrics. Therefore the program declares all kinds at the start, and a peer
// cannot add one: a kind that is not declared is [Other], and a message without a kind is [None].
//
//	reader, kinds := messagekind.JSONMember("type"), []string{"chat", "typing"}
//	ws, err := otelws.New(otelws.WithMessageKinds(reader, kinds...))
//	tr, err := tracing.New(tracing.WithMessageKinds(reader, kinds...))
//
// If a protocol itself defines kinds, its [Reader] has them already. They need no declaration.
package messagekind
