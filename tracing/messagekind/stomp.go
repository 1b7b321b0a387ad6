package messagekind

import "bytes"

var stompKinds = []string{
	"CONNECT", "STOMP", "CONNECTED", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK",
	"BEGIN", "COMMIT", "ABORT", "DISCONNECT", "MESSAGE", "RECEIPT", "ERROR", "heart-beat",
}

var stompPlaces = places(stompKinds[:len(stompKinds)-1])

// STOMP returns a Reader of the commands of STOMP 1.0 to 1.2. A message that contains only
// end-of-lines is a heart-beat. If a message contains several frames, the first one determines the
// kind. A message that begins in the middle of a frame is [Other].
func STOMP() Reader {
	heartBeat := int32(len(stompKinds) - 1)
	return Reader{protocol: "STOMP", own: stompKinds, read: func(k *Kinds, m Message) int32 {
		b := bytes.TrimLeft(m.Prefix, "\r\n")
		if len(b) == 0 {
			switch {
			case len(m.Prefix) == 0:
				return k.none
			case m.Whole:
				return heartBeat
			}
			return k.other
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return k.other
		}
		if i, ok := stompPlaces[string(bytes.TrimSuffix(b[:end], []byte("\r")))]; ok {
			return i
		}
		return k.other
	}}
}
