package tracing

import "strings"

// The envelope stands before the payload of every message of a connection
// whose subprotocol begins with otelws.trace.v1. All of it is ASCII, so that a
// text message stays valid UTF-8 and keeps its type, as a binary one does:
//
//	byte 0      0: no context; the payload follows
//	            1: a traceparent, and then the payload
//	            2: a traceparent and a tracestate, and then the payload
//	bytes 1-55  traceparent, W3C version 00, as text
//	bytes 56-57 length of tracestate, at most 512: its upper 7 bits, its lower 7
//	bytes 58-   tracestate, as text
//
// A message that has no such beginning is all payload.
const (
	envelopeEmpty = iota
	envelopeParent
	envelopeParentState
)

const (
	envelopeProtocol  = "otelws.trace.v1"
	envelopeSeparator = "+"

	envelopeStateAt = 1 + traceparentLen
)

// Subprotocols returns the subprotocols that offer, or accept, messages in an
// envelope that holds their context, for [websocket.DialOptions] and
// [websocket.AcceptOptions]. For each of the application's own it returns
// "otelws.trace.v1+" and that name, and then the name by itself; without any,
// "otelws.trace.v1".
//
// A peer that does not know the envelope chooses the plain name, or none, and
// is never sent one. [Instrumentation.Conn] follows what was chosen.
// [ApplicationSubprotocol] returns the application's part.
//
// The envelope is one byte where a message carries no context, 56 where it
// does, and at most 570 with a tracestate.
func Subprotocols(application ...string) []string {
	if len(application) == 0 {
		return []string{envelopeProtocol}
	}
	names := make([]string, 0, 2*len(application))
	for _, a := range application {
		names = append(names, envelopeProtocol+envelopeSeparator+a)
	}
	return append(names, application...)
}

// ApplicationSubprotocol returns the application's own subprotocol of the one
// that the handshake chose.
func ApplicationSubprotocol(chosen string) string {
	if strings.EqualFold(chosen, envelopeProtocol) {
		return ""
	}
	if isEnveloped(chosen) {
		return chosen[len(envelopeProtocol+envelopeSeparator):]
	}
	return chosen
}

// isEnveloped compares without regard to case, as coder/websocket does when it
// chooses.
func isEnveloped(subprotocol string) bool {
	const prefix = envelopeProtocol + envelopeSeparator
	return strings.EqualFold(subprotocol, envelopeProtocol) ||
		len(subprotocol) > len(prefix) && strings.EqualFold(subprotocol[:len(prefix)], prefix)
}

func wrap(payload []byte, c carrier) []byte {
	b := make([]byte, 0, envelopeStateAt+2+len(c.tracestate)+len(payload))
	switch {
	case len(c.traceparent) != traceparentLen:
		b = append(b, envelopeEmpty)
	case c.tracestate == "" || len(c.tracestate) > maxTracestateLen:
		b = append(append(b, envelopeParent), c.traceparent...)
	default:
		b = append(append(b, envelopeParentState), c.traceparent...)
		b = append(b, byte(len(c.tracestate)>>7), byte(len(c.tracestate)&0x7f))
		b = append(b, c.tracestate...)
	}
	return append(b, payload...)
}

// unwrap returns the payload, which is part of message, and the context's text.
func unwrap(message []byte) (payload, traceparent, tracestate []byte) {
	if len(message) == 0 {
		return message, nil, nil
	}
	kind := message[0]
	switch {
	case kind == envelopeEmpty:
		return message[1:], nil, nil
	case kind == envelopeParent && len(message) >= envelopeStateAt:
		return message[envelopeStateAt:], message[1:envelopeStateAt], nil
	case kind == envelopeParentState && len(message) >= envelopeStateAt+2:
		hi, lo := message[envelopeStateAt], message[envelopeStateAt+1]
		n := int(hi)<<7 | int(lo)
		rest := message[envelopeStateAt+2:]
		if lo < 0x80 && n <= maxTracestateLen && n <= len(rest) {
			return rest[n:], message[1:envelopeStateAt], rest[:n]
		}
	}
	return message, nil, nil
}

// ApplicationPayload returns the application's part of a message, or of the beginning
// of one, on a connection whose handshake chose a subprotocol with an envelope. It is
// a part of message.
func ApplicationPayload(message []byte) []byte {
	payload, _, _ := unwrap(message)
	return payload
}
