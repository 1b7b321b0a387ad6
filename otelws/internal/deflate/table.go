package deflate

import "math/bits"

const (
	maxLit    = 286 // symbols of the literal/length alphabet
	maxDist   = 30  // symbols of the distance alphabet
	maxLength = 15  // bits of a code

	endOfBlock = 256
)

// table has the two codes of a block (RFC 1951 section 3.2.5). The next bits of the input are the
// index; longer codes are found in the sorted symbols.
type table struct {
	lit  [1 << litBits]uint32
	dist [1 << distBits]uint8

	litCode    code
	distCode   code
	litSorted  [maxLit + 2]uint16
	distSorted [maxDist + 2]uint16
}

const (
	litBits  = 10
	distBits = 9

	pairsFrom = 2 << 10
)

// An entry of table.lit represents one or two literals, a length, or a literal and a length:
//
//	bits 0-5    length of codes and extra bits
//	bits 8-13   length of codes
//	bits 16-28  length of the output, but for the value of the extra bits
//	bit  30     a distance follows
//	bit  31     none of these: one of the other entries
const (
	entryCode   = 1<<8 | 1 // each bit of a code
	entryOutput = 16
	entryDist   = 1 << 30
	entryOther  = 1 << 31
)

// Other entries. They also have the length of their code.
const (
	otherInvalid = entryOther | iota<<entryOutput
	otherEnd     // the end of the block
	otherLong    // a code longer than litBits
)

// An entry of table.dist is the length of the code and its extra bits, or one of these values.
const (
	distOther   = 0x40 // set in both
	distInvalid = 0x40
	distLong    = 0x80 | distOther
)

// litProto has the entries of table.lit without their codes.
var litProto = func() (p [maxLit + 2]uint32) {
	for i := range endOfBlock {
		p[i] = 1 << entryOutput
	}
	p[endOfBlock] = otherEnd
	// RFC 1951 section 3.2.5.
	length := uint32(3)
	for i := endOfBlock + 1; i < maxLit; i++ {
		extra := uint32(max(i-261, 0) / 4)
		if i == maxLit-1 {
			length, extra = 258, 0
		}
		p[i] = entryDist | length<<entryOutput | extra
		length += 1 << extra
	}
	p[maxLit], p[maxLit+1] = otherInvalid, otherInvalid
	return p
}()

// distProto has the entries of table.dist without their codes.
var distProto = func() (p [maxDist + 2]uint8) {
	for i := range maxDist {
		p[i] = uint8(max(i-2, 0) / 2)
	}
	p[maxDist], p[maxDist+1] = distInvalid, distInvalid
	return p
}()

// fixedLengths returns the code lengths of blocks with fixed codes (RFC 1951 section
// 3.2.6).
func fixedLengths() (lit [maxLit + 2]uint8, dist [maxDist + 2]uint8) {
	for i := range lit {
		switch {
		case i < 144:
			lit[i] = 8
		case i < 256:
			lit[i] = 9
		case i < 280:
			lit[i] = 7
		default:
			lit[i] = 8
		}
	}
	for i := range dist {
		dist[i] = 5
	}
	return lit, dist
}

// fixed is the table for blocks with fixed codes.
var fixed = func() *table {
	lit, dist := fixedLengths()
	t := new(table)
	t.init(lit[:], dist[:], true)
	return t
}()

// init makes the table of two codes from the code lengths of their symbols. It returns false if a
// code is over-subscribed or incomplete.
func (t *table) init(lit, dist []uint8, pairs bool) bool {
	if !t.litCode.init(lit, t.litSorted[:]) || !t.distCode.init(dist, t.distSorted[:]) {
		return false
	}
	rest, distRest := uint32(otherInvalid), uint8(distInvalid)
	if t.litCode.max > litBits {
		rest = otherLong
	}
	if t.distCode.max > distBits {
		distRest = distLong
	}
	fill(t.lit[:], &t.litCode, t.litSorted[:], litProto[:], entryCode, rest)
	fill(t.dist[:], &t.distCode, t.distSorted[:], distProto[:], 1, distRest)
	if pairs {
		t.pair()
	}
	return true
}

// pair combines two symbols into one entry, if their bits fit. It uses entries with a lower index,
// which determines the order.
func (t *table) pair() {
	for i := len(t.lit) - 1; i >= 0; i-- {
		first := t.lit[i]
		second := t.lit[i>>(first&63)]
		if first < entryDist && second < entryOther && (first+second)>>8&63 <= litBits {
			t.lit[i] = first + second
		}
	}
}

// longLit returns the entry of a code that is longer than litBits.
func (t *table) longLit(buf uint64) uint32 {
	i, n := t.litCode.long(buf, litBits)
	return litProto[t.litSorted[i]] + entryCode*n
}

// longDist returns the entry of a code that is longer than distBits.
func (t *table) longDist(buf uint64) uint8 {
	i, n := t.distCode.long(buf, distBits)
	return distProto[t.distSorted[i]] + uint8(n)
}

// code is a canonical Huffman code (RFC 1951 section 3.2.2).
type code struct {
	count [maxLength + 1]uint16
	limit [maxLength + 1]uint16 // first code after the codes of a length, as 15 bits
	delta [maxLength + 1]int16  // difference between a code of a length and its index
	max   uint8
}

// init makes the code from the code lengths of its symbols, and sorts the symbols by their codes.
// It returns false if the code is over-subscribed or incomplete. As exceptions, no code and a
// single code of one bit are valid.
func (c *code) init(lengths []uint8, sorted []uint16) bool {
	*c = code{}
	for _, n := range lengths {
		c.count[n&maxLength]++
	}
	c.count[0] = 0

	var offset [maxLength + 1]uint16
	var next, index uint32
	for n := 1; n <= maxLength; n++ {
		count := uint32(c.count[n])
		next <<= 1
		c.delta[n] = int16(index - next)
		offset[n] = uint16(index)
		next += count
		index += count
		if next > 1<<n {
			return false
		}
		if count > 0 {
			c.max = uint8(n)
		}
		c.limit[n] = uint16(next << (maxLength - n))
	}
	if next != 1<<maxLength && index != 0 && (index != 1 || c.max != 1) {
		return false
	}
	for symbol, n := range lengths {
		if n > 0 {
			i := &offset[n&maxLength]
			sorted[*i] = uint16(symbol)
			*i++
		}
	}
	return true
}

// long returns the index of the symbol whose code is next in buf, and the length of that code. The
// length must be greater than n.
func (c *code) long(buf uint64, n uint32) (index int, length uint32) {
	v := bits.Reverse16(uint16(buf)) >> 1
	for n++; n < maxLength && v >= c.limit[n]; n++ {
	}
	return int(v>>(maxLength-n)) + int(c.delta[n&maxLength]), n
}

// fill fills a table that is indexed by the next bits of the input. The entry of a
// code is the entry of its symbol in proto, plus unit for each bit of the code. Bits
// that begin no code short enough for the table get the entry rest.
func fill[E uint8 | uint16 | uint32](table []E, c *code, sorted []uint16, proto []E, unit, rest E) {
	table[0] = rest
	next := 0
	for n, size := 1, 1; size < len(table); n++ {
		copy(table[size:], table[:size])
		size *= 2
		next <<= 1
		add := unit * E(n)
		count := int(c.count[n&maxLength])
		for _, symbol := range sorted[:count] {
			table[bits.Reverse16(uint16(next))>>(16-n)] = proto[symbol] + add
			next++
		}
		sorted = sorted[count:]
	}
}
