package messagekind

import "bytes"

// engineTypes are the packet types of Engine.IO, each at its number.
var engineTypes = []string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

const engineMessage = 4

// EngineIO returns a Reader of the packet types of the Engine.IO protocol, version
// 4: open, close, ping, pong, message, upgrade and noop. A binary message is a
// packet of type message.
func EngineIO() Reader {
	return Reader{protocol: "Engine.IO", own: engineTypes, read: func(k *Kinds, m Message) int32 {
		return enginePacket(k, m)
	}}
}

// enginePacket returns the number of the packet's type, and the place of Other or
// None where it is none.
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

// The packet types of Socket.IO follow those of Engine.IO in socketKinds, each at
// its number and socketFirst. EVENT takes the place of message.
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

// SocketIO returns a Reader of the events of the Socket.IO protocol, version 5, by
// the names that are declared. Other events are of the kind EVENT or BINARY_EVENT.
// The other packet types of Socket.IO have kinds of their own, as CONNECT and ACK,
// and so have those of Engine.IO beneath, as ping and pong. An event whose name is
// one of these is EVENT. A binary message is an attachment; the packet that it
// belongs to has come before it.
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

// event returns the kind of a Socket.IO event: b follows the packet's type.
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
