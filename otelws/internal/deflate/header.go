package deflate

// codeBits is the longest code of the code length alphabet.
const codeBits = 7

// codeOrder is the order of its code lengths (RFC 1951 section 3.2.7).
var codeOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// codeProto is entries of Counter.codes without their codes: the symbol above
// the 3 bits for the code's length.
var codeProto = func() (p [len(codeOrder)]uint8) {
	for i := range p {
		p[i] = uint8(i) << 3
	}
	return p
}()

// sizes reads how many code lengths a dynamic block has (RFC 1951 section
// 3.2.7).
func (c *Counter) sizes(in *input) bool {
	in.fill()
	if in.n < 5+5+4 {
		return false
	}
	c.nlit = uint16(in.take(5)) + 257
	c.ndist = uint16(in.take(5)) + 1
	c.ncode = uint16(in.take(4)) + 4
	if c.nlit > maxLit || c.ndist > maxDist {
		return c.fail()
	}
	clear(c.lengths[:len(codeOrder)])
	c.index = 0
	c.state = inCodeLengths
	return true
}

func (c *Counter) codeLengths(in *input) bool {
	for ; c.index < c.ncode; c.index++ {
		if in.n < 3 {
			if in.fill(); in.n < 3 {
				return false
			}
		}
		c.lengths[codeOrder[c.index]] = uint8(in.take(3))
	}
	var code code
	var sorted [len(codeOrder)]uint16
	if !code.init(c.lengths[:len(codeOrder)], sorted[:]) {
		return c.fail()
	}
	fill(c.codes[:], &code, sorted[:], codeProto[:], 1, 0)
	c.index = 0
	c.state = inLengths
	return true
}

// symbolLengths reads the code lengths of the literal/length and the distance
// alphabet, which are one sequence.
func (c *Counter) symbolLengths(in *input) bool {
	end := c.nlit + c.ndist
	for c.index < end {
		if in.n < codeBits+7 {
			in.fill()
		}
		e := c.codes[in.buf&(1<<codeBits-1)]
		size, symbol := uint(e&7), e>>3
		if size == 0 {
			return c.fail()
		}
		var extra, repeat uint
		var length uint8
		switch symbol {
		default:
			length, repeat = symbol, 1
		case 16:
			extra, repeat = 2, 3
			if c.index > 0 {
				length = c.lengths[c.index-1]
			}
		case 17:
			extra, repeat = 3, 3
		case 18:
			extra, repeat = 7, 11
		}
		if size+extra > in.n {
			return false
		}
		in.drop(size)
		repeat += in.take(extra)
		if symbol == 16 && c.index == 0 || repeat > uint(end-c.index) {
			return c.fail()
		}
		for range repeat {
			c.lengths[c.index] = length
			c.index++
		}
	}
	// A table of pairs is worth its making where there is much to read by it.
	if !c.dynamic.init(c.lengths[:c.nlit], c.lengths[c.nlit:end], len(in.p) >= pairsFrom) {
		return c.fail()
	}
	c.table = &c.dynamic
	c.state = inSymbols
	return true
}
