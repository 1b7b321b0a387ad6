package otelws

// InstrumentGroup names instruments that have your attributes only if you ask for it with
// [WithAttributesOn].
type InstrumentGroup uint8

// The groups of instruments. Attributes on MessageInstruments cost about 50 ns per message.
// Attributes on the other groups only add time series.
const (
	// MessageInstruments are ws.message and ws.message.sent and, with [WithMessageKinds],
	// ws.messages and ws.messages.size.
	MessageInstruments InstrumentGroup = 1 << iota
	// HeartbeatInstruments are ws.heartbeat.rtt and ws.heartbeat.missed.
	HeartbeatInstruments
	// DurationInstruments is ws.connection.duration.
	DurationInstruments
	// TrafficInstruments are ws.frames, ws.io, ws.write.time and, with [WithDecodedSizes],
	// ws.compression.wire and ws.compression.decoded.
	TrafficInstruments

	allGroups = MessageInstruments | HeartbeatInstruments | DurationInstruments | TrafficInstruments
)
