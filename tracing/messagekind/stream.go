package messagekind

// Stream reads the kinds of the messages of one direction of one connection, where
// these are pieces of a byte stream that may be cut anywhere, as those of MQTT are.
// The methods are called for one message after the other. It is not safe for
// concurrent use.
type Stream struct {
	kinds *Kinds
	kind  int32 // of the message

	// Of the packet that is under way.
	inLength bool   // its length is being read
	length   uint32 // that is left of it, or is known of it
	shift    uint8
	lost     bool // where the next one begins is not known
}

// Stream returns a new Stream, and nil where each message stands for itself: then
// Read reads it.
func (k *Kinds) Stream() *Stream {
	if !k.reader.stream {
		return nil
	}
	return &Stream{kinds: k}
}

// Begin begins a message.
func (s *Stream) Begin() { s.kind = s.kinds.none }

// Write reads the next bytes of the message. It keeps and changes nothing of them.
func (s *Stream) Write(p []byte) { s.WriteMasked(p, [4]byte{}, 0) }

// WriteMasked is Write for bytes as they stand in a frame that is masked with key (RFC
// 6455 section 5.3), of whose payload offset bytes came before.
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

// Lose says that bytes are missing: this message and those that follow are [Other].
func (s *Stream) Lose() { s.lost = true }

// End ends the message, and returns the place in Kinds.Names of its kind.
func (s *Stream) End() int {
	if s.lost {
		return int(s.kinds.other)
	}
	return int(s.kind)
}
