package messagekind

import "bytes"

// engineTypes are the packet types of Engine.IO, each at the index of its number.
var engineTypes = []string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

const engineMessage = 4

// EngineIO returns a Reader of the packet types of the Engine.IO protocol, version 4: open, close, ping,
// pong, message, upgrade and noop. A binary message is a packet of type message.
func EngineIO() Reader {
	return Reader{protocol: "Engine.IO", own: engineTypes, read: func(k *Kinds, m Message) int32 {
		return enginePacket(k, m)
	}}
}

// enginePacket returns the number of the packet's type, or the index of Other or None if it has
// none.
func enginePacket(k *Kinds, m Message) int32 {
	switch {
	case !m.Text:
		return engineMessage
	case len(m.Prefix) == 0:
		return k.none
	}
	if n := int(m.Prefix[0]) - '0'; n >= 0 && n < len(engineTypes) {
		return int32(n)
	}
	return k.other
}

// The packet types of Socket.IO come after the types of Engine.IO in socketKinds, each at the index
// of its number plus socketFirst. EVENT takes the place of message.
const (
	socketEvent       = 2
	socketBinaryEvent = 5
	socketBinaryAck   = 6
	socketFirst       = 7
	socketAttachment  = socketFirst + socketBinaryAck + 1
)

var socketKinds = []string{
	"open", "close", "ping", "pong", "message", "upgrade", "noop",
	"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK",
	"attachment",
}

// SocketIO returns a Reader of the Socket.IO protocol, version 5. The kind of an event is its name.
// Declare the names; an event with another name has the kind EVENT or BINARY_EVENT.
//
// Other packets have their type as the kind: types of Socket.IO, such as CONNECT and ACK, and types
// of Engine.IO, such as ping and pong. An event with such a name has the kind EVENT. A binary
// message is an attachment of the packet before it.
func SocketIO() Reader {
	return Reader{protocol: "Socket.IO", own: socketKinds, open: true, read: func(k *Kinds, m Message) int32 {
		if !m.Text {
			return socketAttachment
		}
		packet := enginePacket(k, m)
		if packet != engineMessage || len(m.Prefix) < 2 {
			return packet
		}
		n := int(m.Prefix[1]) - '0'
		switch {
		case n < 0 || n > socketBinaryAck:
			return k.other
		case n == socketEvent || n == socketBinaryEvent:
			return k.event(m.Prefix[2:], int32(socketFirst+n))
		}
		return int32(socketFirst + n)
	}}
}

// event returns the kind of a Socket.IO event. b is the packet without its type.
func (k *Kinds) event(b []byte, other int32) int32 {
	b = bytes.TrimLeft(b, "0123456789")
	if after, ok := bytes.CutPrefix(b, []byte("-")); ok { // the number of attachments
		b = bytes.TrimLeft(after, "0123456789")
	}
	if len(b) > 0 && b[0] == '/' { // the namespace
		end := bytes.IndexByte(b, ',')
		if end < 0 {
			return other
		}
		b = bytes.TrimLeft(b[end+1:], "0123456789") // the id of an acknowledgement
	}
	s := scanner{b: b}
	if !s.element(0) {
		return other
	}
	name, escaped, ok := s.string()
	if escaped && ok {
		var buffer [maxName]byte
		name, ok = unescape(buffer[:0], name)
	}
	if !ok {
		return other
	}
	return k.orElse(name, other)
}
