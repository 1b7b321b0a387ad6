package frame_test

import (
	"encoding/binary"
	"strings"
)

// part is one frame of a stream.
type part struct {
	first   byte // FIN, RSV and opcode
	payload string
	claim   uint64 // claimed length, if it differs from the payload's
	wide    int    // number of length bytes, if not the minimum
}

type stream []part

func (s stream) plain() []byte  { return s.bytes(nil) }
func (s stream) masked() []byte { return s.bytes([]byte{0x37, 0xfa, 0x21, 0x3d}) }

func (s stream) bytes(mask []byte) (b []byte) {
	for _, p := range s {
		b = append(b, p.bytes(mask)...)
	}
	return b
}

func (p part) bytes(mask []byte) []byte {
	length := uint64(len(p.payload))
	if p.claim != 0 {
		length = p.claim
	}
	var bit byte
	if mask != nil {
		bit = 0x80
	}
	b := []byte{p.first}
	switch {
	case p.wide == 8 || length > 0xffff:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), length)
	case p.wide == 2 || length > 125:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(length))
	default:
		b = append(b, bit|byte(length))
	}
	b = append(b, mask...)
	start := len(b)
	b = append(b, p.payload...)
	for i := range b[start:] {
		if mask != nil {
			b[start+i] ^= mask[i%4]
		}
	}
	return b
}

const (
	fin          = 0x80
	continuation = 0x0
	text         = 0x1
	binaryFrame  = 0x2
	closeFrame   = 0x8
	ping         = 0x9
	pong         = 0xA
)

var seeds = []stream{
	{},
	{{first: fin | text, payload: "hello"}},
	{{first: fin | binaryFrame}},
	{{first: fin | text, payload: strings.Repeat("a", 126)}, {first: fin | text, payload: "b"}},
	{{first: fin | text, payload: "wide", wide: 2}, {first: fin | text, payload: "wider", wide: 8}},
	{{first: text, payload: "one "}, {first: fin | ping, payload: "p"}, {first: continuation}, {first: fin | continuation, payload: "message"}},
	{{first: text, payload: "one"}, {first: fin | text, payload: "inside"}},
	{{first: fin | continuation, payload: "of nothing"}},
	{{first: fin | ping}, {first: fin | pong, payload: "unasked"}, {first: fin | ping, payload: strings.Repeat("p", 125)}},
	{{first: fin | ping, payload: strings.Repeat("p", 126)}},
	{{first: ping, payload: "in fragments"}},
	{{first: fin | closeFrame}, {first: fin | text, payload: "after"}},
	{{first: fin | closeFrame, payload: "\x03\xe8bye"}},
	{{first: fin | closeFrame, payload: "\x03"}},
	{{first: fin | closeFrame, payload: "\x03\xee"}},
	{{first: fin | closeFrame, payload: "\xff\xff"}},
	{{first: fin | 0x40 | text, payload: "rsv1"}, {first: fin | text, payload: "next"}},
	{{first: 0x40 | text, payload: "rsv1"}, {first: fin | 0x40 | continuation, payload: "again"}},
	{{first: fin | 0x20 | text, payload: "rsv2"}},
	{{first: fin | 0x10 | ping, payload: "rsv3"}},
	{{first: fin | 0x3, payload: "reserved"}},
	{{first: fin | 0xB, payload: "reserved"}},
	{{first: fin | text, payload: "much", claim: 1<<63 - 1}},
	{{first: fin | text, payload: "too much", claim: 1 << 63}},
	{{first: text, payload: "x", claim: 1<<63 - 1}},
	{{first: fin | text, payload: "\xff\xfe not UTF-8"}},
	{{first: 'G', payload: "ET / HTTP/1.1\r\n\r\n"}},
}
