package tracing

import "strings"

// The envelope precedes the payload of each message if the subprotocol of the connection begins
// with otelws.trace.v1. The envelope is pure ASCII. A text message therefore stays valid UTF-8, and
// messages keep their type:
//
//	byte 0      0: no context; the payload follows
//	            1: a traceparent, and then the payload
//	            2: a traceparent and a tracestate, and then the payload
//	bytes 1-55  traceparent, W3C version 00, as text
//	bytes 56-57 length of tracestate, at most 512: its upper 7 bits, its lower 7
//	bytes 58-   tracestate, as text
//
// A message without a valid envelope is all payload.
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

// Subprotocols returns the subprotocols for messages with an envelope that carries their context.
// Pass them to [websocket.DialOptions] and [websocket.AcceptOptions]. For each subprotocol of the
// application, the result has "otelws.trace.v1+" with its name, and, as a fallback, the plain name.
// Without arguments, the result is "otelws.trace.v1".
//
// A peer that does not know the envelope chooses the plain name, or none, and its messages have no
// envelope. [Instrumentation.Conn] follows the chosen subprotocol. [ApplicationSubprotocol] removes
// the prefix.
//
// An envelope has 1 byte without a context, 56 bytes with a context, and at most 570 bytes with a
// tracestate.
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

// ApplicationSubprotocol returns the application's own part of the chosen subprotocol. It is empty
// if only the envelope was chosen.
func ApplicationSubprotocol(chosen string) string {
	if strings.EqualFold(chosen, envelopeProtocol) {
		return ""
	}
	if isEnveloped(chosen) {
		return chosen[len(envelopeProtocol+envelopeSeparator):]
	}
	return chosen
}

// isEnveloped ignores case, as coder/websocket does when it chooses a subprotocol.
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

// unwrap returns the payload, which is a part of message, and the text of the context.
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

// ApplicationPayload returns the application's part of a message on a connection whose handshake chose
// a subprotocol with an envelope. message may also be the beginning of a message. The result shares
// memory with message.
func ApplicationPayload(message []byte) []byte {
	payload, _, _ := unwrap(message)
	return payload
}
