// Package frame parses WebSocket frame headers (RFC 6455 section 5) in a stream of bytes that
// another component reads or writes.
package frame

import (
	"encoding/binary"
	"math"
)

// Opcode is the opcode of a frame (RFC 6455 section 5.2).
type Opcode uint8

// The opcodes of RFC 6455. All others are reserved.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

func (o Opcode) isControl() bool { return o&0x8 != 0 }

func (o Opcode) isReserved() bool {
	return o > Binary && o < Close || o > Pong
}

// The RSV bits in the first byte of a frame. Extensions define their meaning; permessage-deflate
// uses RSV1 (RFC 7692 section 6).
const (
	RSV1   byte = 0x40
	RSV2   byte = 0x20
	RSV3   byte = 0x10
	rsvAll      = RSV1 | RSV2 | RSV3
)

// MaxControlPayload is the maximum payload length of a control frame (RFC 6455 section 5.5).
const MaxControlPayload = 125

const maxHeader = 14

// Frame is a complete frame.
type Frame struct {
	Opcode Opcode

	// Message is the payload length of the message that this frame completes, over all its frames.
	// It is -1 if the frame does not complete a message.
	Message int64

	// Decoded and Kind are the results of the Inspector for that message. Decoded is
	// negative if there is no result.
	Decoded int64
	Kind    int32

	masked  bool
	mask    [4]byte
	payload []byte
}

// Inspector inspects messages, one after the other.
type Inspector interface {
	// Whole inspects a message that is one frame without RSV bits, with a payload of
	// size bytes. It returns Frame.Kind.
	Whole(frame []byte, size int) (kind int32)

	// Begin starts a message. first is the first byte of its first frame.
	Begin(first byte)

	// Payload passes the next payload bytes of the message. They are masked with key,
	// which is zero in unmasked frames, and offset payload bytes of the same frame
	// came before. Payload must not keep or change b.
	Payload(b []byte, key [4]byte, offset int64)

	// End ends the message. It returns Frame.Decoded and Frame.Kind.
	End() (decoded int64, kind int32)
}

// AppendPayload appends the unmasked payload of a control frame to dst. Call it before the next
// call of the Parser that returned the frame.
func (f *Frame) AppendPayload(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, f.payload...)
	if f.masked {
		for i := range dst[start:] {
			dst[start+i] ^= f.mask[i&3]
		}
	}
	return dst
}

// Parser parses the frames of one direction of one connection. It accepts the bytes in pieces of
// any size. It never buffers data payload, and at most one control payload, so its memory is
// bounded, whatever a header claims.
//
// After a close frame or an invalid header, it stops parsing.
//
// A Parser is not safe for concurrent use, with the exception of Whole.
type Parser struct {
	// Whole reads only these three fields. They are first and adjacent.
	maskBit byte // expected mask bit of a frame
	rsv     byte
	whole   byte // RSV bits that Whole accepts

	opcode  Opcode
	masked  bool
	fin     bool
	open    bool // a message has begun and its last frame has not
	payload bool // the header has been read, the payload has not
	inspect bool // the current message is the Inspector's
	done    bool
	mask    [4]byte

	remaining uint64     // payload bytes of the current frame still to come
	message   uint64     // payload bytes of the current message so far
	pieces    *pieces    // nil until something has come in pieces
	inspected *inspected // nil without an Inspector
}

const maskBit byte = 0x80

// pieces buffers a header or a control payload that arrives in pieces.
type pieces struct {
	header     [maxHeader]byte
	headerLen  uint8
	payloadLen uint8
	payload    [MaxControlPayload]byte // payload of a control frame
}

type inspected struct {
	Inspector
	all    bool   // also inspect messages without RSV bits
	length uint64 // payload bytes of the current frame
}

// New returns a Parser for the frames of a client if client is true, and of a server
// otherwise. rsv are the allowed RSV bits.
func New(client bool, rsv byte) Parser {
	p := Parser{rsv: rsv, whole: rsv}
	if client {
		p.maskBit = maskBit
	}
	return p
}

// Inspect makes i inspect the messages with an RSV bit, or all messages if all is
// true, in their order.
func (p *Parser) Inspect(i Inspector, all bool) {
	p.inspected = &inspected{Inspector: i, all: all, length: p.remaining}
	p.whole = 0
}

// InspectInOrder makes Whole accept no message. So the Inspector gets all messages in
// order, through Begin, Payload and End.
func (p *Parser) InspectInOrder() { p.whole = 0xff }

// Clone returns an independent Parser with the same state, but without the Inspector.
func (p *Parser) Clone() Parser {
	c := *p
	c.pieces, c.inspected = nil, nil
	if s := p.pieces; s != nil && s.headerLen+s.payloadLen > 0 {
		c.pieces = new(*s)
	}
	return c
}

// BetweenMessages reports whether p is parsing and is not inside a message or a frame.
func (p *Parser) BetweenMessages() bool {
	return p.BetweenFrames() && !p.open
}

// BetweenFrames reports whether p is parsing and is not inside a frame. A control frame may be
// inserted here.
func (p *Parser) BetweenFrames() bool {
	return !p.done && !p.payload && (p.pieces == nil || p.pieces.headerLen == 0)
}

// InData reports whether p is inside a data frame.
func (p *Parser) InData() bool {
	if p.payload {
		return !p.opcode.isControl()
	}
	return p.pieces != nil && p.pieces.headerLen > 0 && !Opcode(p.pieces.header[0]&0x0f).isControl()
}

// Stopped reports whether p has stopped parsing.
func (p *Parser) Stopped() bool { return p.done }

// Stop stops the parsing, as an invalid header does.
func (p *Parser) Stop() { p.done = true }

// Whole checks whether b is exactly one message, in a single frame with the shortest possible
// header. It returns its payload length, or -1. It also returns -1 for payloads of 64 KiB and more.
//
// If p is between messages, Next would parse exactly this frame, and be between messages again.
// Whole only reads fields that Next does not change, so it may be called concurrently.
func (p *Parser) Whole(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	if first := b[0] &^ p.whole; first != 0x80|byte(Text) && first != 0x80|byte(Binary) {
		return -1
	}
	length := len(b) - 2 - int(p.maskBit>>5) // 4 for the key
	switch short := int(b[1] ^ p.maskBit); {
	case short <= 125 && short == length:
		return length
	case short == 126 && length-2 > 125 && int(binary.BigEndian.Uint16(b[2:])) == length-2:
		return length - 2
	}
	return -1
}

// Next parses b up to the end of a frame, and returns the number of bytes that it used. If ok is
// false, it used all of b, and the frame is incomplete. err is an invalid header; it is returned
// only once.
func (p *Parser) Next(b []byte) (f Frame, n int, ok bool, err Error) {
	if size := sizeOf(b); size <= len(b) && p.BetweenMessages() {
		if length := p.Whole(b[:size]); length >= 0 {
			f := Frame{Opcode: Opcode(b[0] & 0x0f), Message: int64(length), Decoded: -1}
			if i := p.inspected; i != nil && i.all {
				f.Kind = i.Whole(b[:size], length)
			}
			return f, size, true, None
		}
	}
	if p.done {
		return Frame{}, len(b), false, None
	}
	if !p.payload {
		h, used := p.readHeader(b)
		n = used
		if h == nil {
			if err := p.checkPartial(); err != None {
				p.done = true
				return Frame{}, len(b), false, err
			}
			return Frame{}, n, false, None
		}
		if err := p.begin(h); err != None {
			p.done = true
			return Frame{}, len(b), false, err
		}
	}

	rest := b[n:]
	var payload []byte
	if p.opcode.isControl() {
		var used int
		payload, used, ok = p.readControl(rest)
		n += used
	} else {
		used := min(uint64(len(rest)), p.remaining)
		if i := p.inspected; p.inspect && i != nil {
			i.Payload(rest[:used], p.mask, int64(i.length-p.remaining))
		}
		p.remaining -= used
		n += int(used)
		ok = p.remaining == 0
	}
	if !ok {
		return Frame{}, n, false, None
	}
	return p.end(payload), n, true, None
}

// inPieces returns the buffer for pieces.
func (p *Parser) inPieces() *pieces {
	if p.pieces == nil {
		p.pieces = new(pieces)
	}
	return p.pieces
}

// readHeader returns a complete header and the number of bytes that it used. It returns nil if b
// ends inside the header.
func (p *Parser) readHeader(b []byte) ([]byte, int) {
	if (p.pieces == nil || p.pieces.headerLen == 0) && len(b) >= 2 {
		if size := headerSize(b); len(b) >= size {
			return b[:size], size
		}
	}
	s := p.inPieces()
	var n int
	for {
		size := 2
		if s.headerLen >= 2 {
			size = headerSize(s.header[:])
		}
		c := copy(s.header[s.headerLen:size], b[n:])
		n += c
		s.headerLen += uint8(c)
		if int(s.headerLen) < size {
			return nil, n
		}
		if size > 2 || headerSize(s.header[:]) == 2 {
			s.headerLen = 0
			return s.header[:size], n
		}
	}
}

// sizeOf returns the size of the frame at the start of b. It returns 0 if the payload is longer
// than 64 KiB, or the length is not in b.
func sizeOf(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	switch short := int(b[1] & 0x7f); short {
	case 126:
		return headerSize(b) + int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return 0
	default:
		return headerSize(b) + short
	}
}

// headerSize returns the size of the header that begins with b. It needs two bytes.
func headerSize(b []byte) int {
	size := 2
	switch b[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if b[1]&0x80 != 0 {
		size += 4
	}
	return size
}

// begin starts a frame with the header h, and returns an error if h is invalid.
func (p *Parser) begin(h []byte) Error {
	length, size := p.decode(h)
	if p.masked {
		copy(p.mask[:], h[size:])
	}
	if err := p.check(h[0]&rsvAll, length); err != None {
		return err
	}

	p.payload = true
	p.remaining = length
	if p.inspected != nil {
		p.inspected.length = length
	}
	if !p.opcode.isControl() {
		if p.opcode != Continuation {
			p.message = 0
			if i := p.inspected; i != nil {
				if p.inspect = i.all || h[0]&rsvAll != 0; p.inspect {
					i.Begin(h[0])
				}
			}
		}
		p.message = min(p.message+length, math.MaxInt64)
		p.open = !p.fin
	}
	return None
}

// checkPartial checks the part of a header that has arrived. The library may close the connection
// without waiting for the rest.
func (p *Parser) checkPartial() Error {
	s := p.pieces
	if s.headerLen < 2 {
		return None
	}
	length, _ := p.decode(s.header[:s.headerLen])
	return p.check(s.header[0]&rsvAll, length)
}

// decode parses an incomplete or complete header. It returns the payload length, or 0 if that has
// not arrived, and the size of the part before the mask.
func (p *Parser) decode(h []byte) (length uint64, size int) {
	p.fin = h[0]&0x80 != 0
	p.opcode = Opcode(h[0] & 0x0f)
	p.masked = h[1]&0x80 != 0

	size = 2
	switch short := h[1] & 0x7f; short {
	case 126:
		size += 2
		if len(h) >= size {
			length = uint64(binary.BigEndian.Uint16(h[2:]))
		}
	case 127:
		size += 8
		if len(h) >= size {
			length = binary.BigEndian.Uint64(h[2:])
		}
	default:
		length = uint64(short)
	}
	return length, size
}

func (p *Parser) check(rsv byte, length uint64) Error {
	switch {
	case length > math.MaxInt64:
		return PayloadTooLong
	case rsv&^p.rsv != 0:
		return ReservedBits
	// RFC 7692 section 6.1: only the first frame of a message may have RSV1.
	case rsv&RSV1 != 0 && p.rsv == RSV1 && p.opcode != Text && p.opcode != Binary:
		return ReservedBits
	case p.masked != (p.maskBit != 0):
		return Masking
	case p.opcode.isReserved():
		return ReservedOpcode
	case p.opcode.isControl() && (length > MaxControlPayload || !p.fin):
		return ControlFrame
	case p.opcode == Continuation && !p.open:
		return Fragmentation
	case (p.opcode == Text || p.opcode == Binary) && p.open:
		return Fragmentation
	}
	return None
}

// readControl returns the payload of a control frame when it is complete, and the number of bytes
// that it used.
func (p *Parser) readControl(b []byte) (payload []byte, n int, ok bool) {
	n = int(min(uint64(len(b)), p.remaining))
	p.remaining -= uint64(n)
	if p.remaining == 0 && (p.pieces == nil || p.pieces.payloadLen == 0) {
		return b[:n], n, true
	}
	s := p.inPieces()
	s.payloadLen += uint8(copy(s.payload[s.payloadLen:], b[:n]))
	if p.remaining > 0 {
		return nil, n, false
	}
	payload = s.payload[:s.payloadLen]
	s.payloadLen = 0
	return payload, n, true
}

func (p *Parser) end(payload []byte) Frame {
	p.payload = false
	if p.opcode == Close {
		p.done = true
	}
	f := Frame{Opcode: p.opcode, Message: -1, Decoded: -1, payload: payload, mask: p.mask, masked: p.masked}
	if p.fin && !p.opcode.isControl() {
		f.Message = int64(p.message)
		if i := p.inspected; p.inspect && i != nil {
			f.Decoded, f.Kind = i.End()
		}
	}
	return f
}
