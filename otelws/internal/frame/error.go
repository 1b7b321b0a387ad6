package frame

// Error is a violation of RFC 6455 in a frame.
type Error uint8

// The errors of a Parser, and two errors of a close frame's payload. They are a closed set, so they
// can be label values.
const (
	None           Error = iota
	ReservedBits         // an RSV bit that no negotiated extension allows (section 5.2)
	ReservedOpcode       // an opcode 0x3-0x7 or 0xB-0xF (section 5.2)
	Masking              // an unmasked frame from a client, or a masked one from a server (section 5.1)
	Fragmentation        // a continuation of nothing, or a message inside a message (section 5.4)
	ControlFrame         // a control frame in fragments or over 125 bytes (section 5.5)
	PayloadTooLong       // a length of 2^63 or more (section 5.2)
	CloseCode            // a close code that must not be sent (section 7.4)
	ClosePayload         // a close payload of a single byte (section 5.5.1)
)

// Errors lists every Error except None.
var Errors = []Error{
	ReservedBits, ReservedOpcode, Masking, Fragmentation, ControlFrame, PayloadTooLong, CloseCode, ClosePayload,
}

// String returns the value of the attribute error.type.
func (e Error) String() string {
	switch e {
	case ReservedBits:
		return "reserved_bits"
	case ReservedOpcode:
		return "reserved_opcode"
	case Masking:
		return "masking"
	case Fragmentation:
		return "fragmentation"
	case ControlFrame:
		return "control_frame"
	case PayloadTooLong:
		return "payload_too_long"
	case CloseCode:
		return "close_code"
	case ClosePayload:
		return "close_payload"
	}
	return "none"
}
