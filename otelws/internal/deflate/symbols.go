package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	litMask  = 1<<litBits - 1
	distMask = 1<<distBits - 1

	distFixed = 5 + 13 // bits of a fixed distance code, including its extra bits
)

// symbols reads the data of a block with Huffman codes.
func (c *Counter) symbols(in *input) bool {
	t := c.table
	if len(in.p) >= 8 {
		if t == fixed {
			c.n += in.runFixed(t)
		} else {
			c.n += in.run(t)
		}
	}
	for {
		in.fill()
		if t == fixed {
			if n := min(literals(in.buf), in.n/8); n > 0 {
				c.n += int64(n)
				in.drop(8 * n)
				in.fill()
			}
		}
		e := t.lit[in.buf&litMask]
		if e == otherLong {
			e = t.longLit(in.buf)
		}
		n := uint(e & 63)
		if n > in.n {
			return false
		}
		if e >= entryOther {
			if e>>entryOutput != otherEnd>>entryOutput {
				return c.fail()
			}
			in.drop(n)
			return c.endBlock(in)
		}
		if e >= entryDist {
			d := t.dist[in.buf>>n&distMask]
			if d == distLong {
				d = t.longDist(in.buf >> n)
			}
			if d >= distOther {
				return c.fail()
			}
			if n += uint(d); n > in.n {
				return false
			}
		}
		c.n += output(e, in.buf)
		in.drop(n)
	}
}

// output returns the output length of an entry. The bits of the entry are next in buf.
func output(e uint32, buf uint64) int64 {
	extra := buf & (1<<(e&63) - 1) >> (e >> 8 & 63)
	return int64(uint64(e>>entryOutput&0x1fff) + extra)
}

// run reads symbols as long as 8 bytes are available to fill buf. It stops before the end of the
// block, and before invalid data.
func (in *input) run(t *table) (count int64) {
	p, key, buf, n := in.p, in.key, in.buf, in.n
	for len(p) >= 8 {
		buf |= (binary.LittleEndian.Uint64(p) ^ key) << (n & 63)
		used := (63 - n) / 8 & 7
		p = p[used:]
		key = rotate(key, int(used&3))
		n |= 56

		e := t.lit[buf&litMask]
		if e < entryDist {
			count += int64(e >> entryOutput)
			buf >>= e & 63
			n -= uint(e & 63)
			e = t.lit[buf&litMask]
			if e < entryDist {
				count += int64(e >> entryOutput)
				buf >>= e & 63
				n -= uint(e & 63)
				continue
			}
		}
		if e >= entryOther {
			if e != otherLong {
				break
			}
			if n < 48 {
				continue
			}
			if e = t.longLit(buf); e >= entryOther {
				break
			}
			if e < entryDist {
				count++
				buf >>= e & 63
				n -= uint(e & 63)
				continue
			}
		}
		rest := buf >> (e & 63)
		d := t.dist[rest&distMask]
		if d >= distOther {
			if d == distLong {
				d = t.longDist(rest)
			}
			if d >= distOther {
				break
			}
		}
		count += output(e, buf)
		buf = rest >> (d & 63)
		n -= uint(e&63) + uint(d)
	}
	in.p, in.key, in.n = p, key, n
	in.buf = buf & (1<<(n&63) - 1)
	return count
}

// runFixed is run for the fixed codes. Most literals have an 8-bit code there, and it counts up to
// 7 of them at once.
func (in *input) runFixed(t *table) (count int64) {
	p, key, buf, n := in.p, in.key, in.buf, in.n
	for len(p) >= 8 {
		buf |= (binary.LittleEndian.Uint64(p) ^ key) << (n & 63)
		used := (63 - n) / 8 & 7
		p = p[used:]
		key = rotate(key, int(used&3))
		n |= 56

		literals := literals(buf)
		count += int64(literals)
		buf >>= 8 * literals & 63
		n -= 8 * literals
		if n < litBits+5+distFixed {
			continue
		}

		e := t.lit[buf&litMask]
		if e >= entryOther {
			break
		}
		length := uint(e & 63)
		if e >= entryDist {
			d := t.dist[buf>>length&distMask]
			if d >= distOther {
				break
			}
			length += uint(d)
		}
		count += output(e, buf)
		buf >>= length & 63
		n -= length
	}
	in.p, in.key, in.n = p, key, n
	in.buf = buf & (1<<(n&63) - 1)
	return count
}

// literals returns the number of literals among the next 7 bytes of buf, if the first byte begins
// one and each has an 8-bit fixed code. These are the codes 00110000 to 10111111 (RFC 1951 section
// 3.2.6), first bit lowest: they begin with 01, with 10, or with 0011.
func literals(buf uint64) uint {
	const lowest = 0x0101010101010101
	is := buf ^ buf>>1 | buf>>2&(buf>>3)&^buf
	return uint(bits.TrailingZeros64(^is&lowest|1<<56)) / 8
}
