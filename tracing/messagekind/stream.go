package messagekind

// Stream reads the kinds of the messages of one direction of one connection, for protocols such as
// MQTT, whose messages are arbitrary pieces of a byte stream. For each message, call Begin, Write
// for its bytes, and End. A Stream is not safe for concurrent use.
type Stream struct {
	kinds *Kinds
	kind  int32 // of the message

	// The current packet.
	inLength bool   // the header ends within its length
	length   uint32 // the rest of the length, or the part that has been read
	shift    uint8
	lost     bool // the beginning of the next packet is not known
}

// Stream returns a new Stream, or nil if the protocol has no stream. Then use Read.
func (k *Kinds) Stream() *Stream {
	if !k.reader.stream {
		return nil
	}
	return &Stream{kinds: k}
}

// Begin begins a message.
func (s *Stream) Begin() { s.kind = s.kinds.none }

// Write reads the next bytes of the message. It does not modify or keep them.
func (s *Stream) Write(p []byte) { s.WriteMasked(p, [4]byte{}, 0) }

// WriteMasked is like Write, for bytes of a frame that is masked with key (RFC 6455 section 5.3).
// offset is the number of bytes of that frame's payload before p.
func (s *Stream) WriteMasked(p []byte, key [4]byte, offset int64) {
	for i := 0; i < len(p) && !s.lost; {
		if !s.inLength && s.length > 0 { // a packet's content
			n := min(int64(s.length), int64(len(p)-i))
			s.length -= uint32(n)
			i += int(n)
			continue
		}
		s.header(p[i] ^ key[(offset+int64(i))&3])
		i++
	}
}

// header reads a byte of a fixed header (section 2.1 of MQTT 5.0).
func (s *Stream) header(b byte) {
	if !s.inLength {
		packet := mqttPacket(b)
		if packet < 0 {
			s.Lose()
			return
		}
		if s.kind == s.kinds.none {
			s.kind = packet
		}
		s.inLength, s.length, s.shift = true, 0, 0
		return
	}
	s.length |= uint32(b&0x7f) << s.shift
	s.shift += 7
	switch {
	case b < 0x80:
		s.inLength = false
	case s.shift == 28: // a Variable Byte Integer has four bytes at most
		s.Lose()
	}
}

// Lose declares that bytes are missing. This message, and all that follow, are [Other].
func (s *Stream) Lose() { s.lost = true }

// End ends the message, and returns the index of its kind in Kinds.Names.
func (s *Stream) End() int {
	if s.lost {
		return int(s.kinds.other)
	}
	return int(s.kind)
}
