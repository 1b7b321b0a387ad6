// Package deflate reads the DEFLATE streams (RFC 1951) of permessage-deflate (RFC 7692).
//
// A [Counter] computes the length of the output without decompressing. The symbols determine the
// length: a literal is one byte, and matches and stored blocks contain their lengths. So a Counter needs
// no window and no output, and a decompression bomb costs no more than its input.
//
// An [Inflater] decompresses a message into a [Window], as far as its user needs.
package deflate

import (
	"encoding/binary"
	"math/bits"
)

// Counter computes the length of one message at a time. Its zero value is ready for a message, and
// so is a Counter after Reset. It takes about 6 KiB, but only during a message, so a pool can serve
// many connections with few Counters. It must not be copied, and is not safe for concurrent use.
//
// A Counter rejects the same streams as the reader of compress/flate, with one exception: it
// accepts a match that begins before the window. It does not check distances, because the window
// may contain earlier messages (RFC 7692 section 7.1.1).
type Counter struct {
	stream
	n       int64  // output so far
	table   *table // of the current block
	dynamic table
}

// stream is the state of a decoder within a stream.
type stream struct {
	buf  uint64 // input not yet used, the next bit lowest
	nbuf uint   // the bits in buf; the ones above are 0

	state  state
	final  bool // the current or last block has BFINAL set
	nlit   uint16
	ndist  uint16
	ncode  uint16
	index  uint16 // of the next code length
	stored uint16 // remaining bytes of the current stored block

	lengths [maxLit + maxDist]uint8
	codes   [1 << codeBits]uint8
}

type state uint8

const (
	atBlock       state = iota
	inStoredSize        // LEN and NLEN of a stored block
	inStored            // its data
	inSizes             // HLIT, HDIST and HCLEN of a dynamic block
	inCodeLengths       // its code lengths for the code length alphabet
	inLengths           // its code lengths for the two other alphabets
	atFixed             // the data of a fixed block
	atDynamic           // the data of a dynamic block
	inSymbols           // the data of either
	invalid
)

// tail is the end that a sender removes from each message's payload (RFC 7692 section 7.2.1).
var tail = [...]byte{0, 0, 0xff, 0xff}

// Reset makes the Counter ready for another message.
func (c *Counter) Reset() {
	c.n = 0
	c.reset()
}

func (s *stream) reset() {
	s.buf, s.nbuf = 0, 0
	s.state, s.final = atBlock, false
}

// Feed reads the next part of the message's payload. A part may end anywhere. Feed does not keep or
// change p.
func (c *Counter) Feed(p []byte) { c.feed(p, 0) }

// FeedMasked is like Feed, for the payload of a masked frame (RFC 6455 section 5.3). offset is the
// number of payload bytes of the frame before p.
func (c *Counter) FeedMasked(p []byte, key [4]byte, offset int64) {
	c.feed(p, keyAt(key, offset))
}

// keyAt is the mask as the byte at offset needs it.
func keyAt(key [4]byte, offset int64) uint64 {
	k := uint64(key[0]) | uint64(key[1])<<8 | uint64(key[2])<<16 | uint64(key[3])<<24
	return rotate(k|k<<32, int(offset&3))
}

// Finish ends the message. n is the length of the valid part of its output. ok reports whether the
// whole message was valid: its payload, followed by the 00 00 ff ff that the sender removed, must
// consist of complete blocks (RFC 7692 section 7.2.2). A final block may be followed by further
// blocks that begin on the next byte (section 7.2.3.4), or by nothing.
func (c *Counter) Finish() (n int64, ok bool) {
	if !c.ended() {
		c.feed(tail[:], 0)
	}
	return c.n, c.betweenBlocks()
}

// ended reports whether the message may end here without the tail.
func (s *stream) ended() bool { return s.final && s.betweenBlocks() }

func (s *stream) betweenBlocks() bool { return s.state == atBlock && s.nbuf == 0 }

func (c *Counter) feed(p []byte, key uint64) {
	in := input{p: p, key: key, buf: c.buf, n: c.nbuf}
	for c.step(&in) {
	}
	c.buf, c.nbuf = in.buf, in.n
}

// step reads a part of a block. It returns false if the rest of that part is still missing, or the
// stream is invalid.
func (c *Counter) step(in *input) bool {
	switch c.state {
	case inStored:
		return c.storedData(in)
	case atFixed:
		c.table, c.state = fixed, inSymbols
		return true
	case atDynamic:
		lit, dist := c.symbolCodes()
		// A table with pairs of symbols takes longer to make. It pays off only for
		// long input.
		if !c.dynamic.init(lit, dist, len(in.p) >= pairsFrom) {
			return c.fail()
		}
		c.table, c.state = &c.dynamic, inSymbols
		return true
	case inSymbols:
		return c.symbols(in)
	}
	return c.header(in)
}

// header reads a part of a block's header, as step does.
func (s *stream) header(in *input) bool {
	switch s.state {
	case atBlock:
		return s.block(in)
	case inStoredSize:
		return s.storedSize(in)
	case inSizes:
		return s.sizes(in)
	case inCodeLengths:
		return s.codeLengths(in)
	case inLengths:
		return s.symbolLengths(in)
	}
	return false
}

func (s *stream) fail() bool {
	s.state = invalid
	return false
}

// block reads a block's header (RFC 1951 section 3.2.3).
func (s *stream) block(in *input) bool {
	in.fill()
	if in.n < 3 {
		return false
	}
	s.final = in.take(1) == 1
	switch in.take(2) {
	case 0:
		in.align()
		s.state = inStoredSize
	case 1:
		s.state = atFixed
	case 2:
		s.state = inSizes
	default:
		return s.fail()
	}
	return true
}

func (s *stream) endBlock(in *input) bool {
	if s.final {
		in.align()
	}
	s.state = atBlock
	return true
}

// storedSize reads the header of a stored block (RFC 1951 section 3.2.4).
func (s *stream) storedSize(in *input) bool {
	in.fill()
	if in.n < 32 {
		return false
	}
	size, inverse := uint16(in.take(16)), uint16(in.take(16))
	if size != ^inverse {
		return s.fail()
	}
	s.stored = size
	s.state = inStored
	return true
}

func (c *Counter) storedData(in *input) bool {
	size := min(uint(c.stored), in.n/8)
	in.drop(8 * size)
	passed := min(int(c.stored)-int(size), len(in.p))
	in.skip(passed)
	c.stored -= uint16(size) + uint16(passed)
	c.n += int64(size) + int64(passed)
	if c.stored > 0 {
		return false
	}
	return c.endBlock(in)
}

// input is the unread input of a Counter.
type input struct {
	p   []byte
	key uint64 // the mask, rotated for p[0]

	buf uint64
	n   uint
}

func rotate(key uint64, n int) uint64 { return bits.RotateLeft64(key, -8*n) }

// fill moves as much of p into buf as possible: more than 48 bits, if p has them. No part of a
// block that is read at once is longer.
func (in *input) fill() {
	if len(in.p) >= 8 {
		in.buf |= (binary.LittleEndian.Uint64(in.p) ^ in.key) << (in.n & 63)
		in.skip(int((63 - in.n) / 8))
		in.n |= 56
		in.buf &= 1<<(in.n&63) - 1
		return
	}
	for in.n < 56 && len(in.p) > 0 {
		in.buf |= uint64(in.p[0]^byte(in.key)) << (in.n & 63)
		in.n += 8
		in.skip(1)
	}
}

func (in *input) skip(n int) {
	in.p = in.p[n:]
	in.key = rotate(in.key, n&3)
}

func (in *input) drop(n uint) {
	in.buf >>= n
	in.n -= n
}

func (in *input) take(n uint) uint {
	v := uint(in.buf) & (1<<n - 1)
	in.drop(n)
	return v
}

// align drops the remaining bits of a byte.
func (in *input) align() { in.drop(in.n & 7) }
