package messagekind

// signalRKinds are the message types of the hub protocol, each at the index of its number minus
// one, and the messages of its handshake.
var signalRKinds = []string{
	"Invocation", "StreamItem", "Completion", "StreamInvocation", "CancelInvocation", "Ping", "Close",
	"Ack", "Sequence", "HandshakeRequest", "HandshakeResponse",
}

const (
	signalRTypes             = 9
	signalRHandshakeRequest  = signalRTypes
	signalRHandshakeResponse = signalRTypes + 1
)

// SignalR returns a Reader of the message types of the SignalR Hub Protocol, in its JSON and its
// MessagePack encoding. If a WebSocket message contains several hub messages, the first one
// determines the kind.
//
// The JavaScript client writes the type after the arguments. Therefore use [Reader.Within] with the
// size of your usual messages.
func SignalR() Reader {
	members := []string{"type", "protocol"}
	return Reader{protocol: "SignalR", own: signalRKinds, read: func(k *Kinds, m Message) int32 {
		if len(m.Prefix) == 0 {
			return k.none
		}
		if !m.Text && !beginsJSON(m.Prefix) {
			return k.hubMessage(messagePackType(m.Prefix))
		}
		s := scanner{b: m.Prefix}
		switch i, found := s.member(members, m.Whole); {
		case found == absent && m.Prefix[0] == '{':
			return signalRHandshakeResponse
		case found != present:
			return k.other
		case members[i] == "protocol":
			return signalRHandshakeRequest
		}
		if literal := s.literal(); len(literal) == 1 && s.at < len(s.b) {
			return k.hubMessage(int(literal[0]) - '0')
		}
		return k.other
	}}
}

func (k *Kinds) hubMessage(typ int) int32 {
	if typ < 1 || typ > signalRTypes {
		return k.other
	}
	return int32(typ - 1)
}

// beginsJSON reports whether a message is one of the handshake. These are JSON even in a binary
// message. It is unambiguous: in MessagePack, no quote or brace can follow a length of 123.
func beginsJSON(b []byte) bool {
	return len(b) >= 2 && b[0] == '{' && (b[1] == '"' || b[1] == '}')
}

// messagePackType returns the type of a message in the MessagePack encoding, or 0 if there is none.
// It is the first element of the array that follows the length, a VarInt.
func messagePackType(b []byte) int {
	const maxVarInt = 5
	for i := 0; ; i++ {
		if i == len(b) || i == maxVarInt {
			return 0
		}
		if b[i] < 0x80 {
			b = b[i+1:]
			break
		}
	}
	switch {
	case len(b) >= 2 && b[0]&0xf0 == 0x90: // fixarray
		return int(b[1])
	case len(b) >= 4 && b[0] == 0xdc: // array 16
		return int(b[3])
	}
	return 0
}
