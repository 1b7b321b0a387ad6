package deflate

// codeBits is the maximum code length in the code length alphabet.
const codeBits = 7

// codeOrder is the order of the code lengths of that alphabet (RFC 1951 section 3.2.7).
var codeOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// codeProto has the entries of stream.codes without their codes: the symbol, above 3
// bits for the length of its code.
var codeProto = func() (p [len(codeOrder)]uint8) {
	for i := range p {
		p[i] = uint8(i) << 3
	}
	return p
}()

// sizes reads the numbers of code lengths in a dynamic block (RFC 1951 section
// 3.2.7).
func (s *stream) sizes(in *input) bool {
	in.fill()
	if in.n < 5+5+4 {
		return false
	}
	s.nlit = uint16(in.take(5)) + 257
	s.ndist = uint16(in.take(5)) + 1
	s.ncode = uint16(in.take(4)) + 4
	if s.nlit > maxLit || s.ndist > maxDist {
		return s.fail()
	}
	clear(s.lengths[:len(codeOrder)])
	s.index = 0
	s.state = inCodeLengths
	return true
}

func (s *stream) codeLengths(in *input) bool {
	for ; s.index < s.ncode; s.index++ {
		if in.n < 3 {
			if in.fill(); in.n < 3 {
				return false
			}
		}
		s.lengths[codeOrder[s.index]] = uint8(in.take(3))
	}
	var code code
	var sorted [len(codeOrder)]uint16
	if !code.init(s.lengths[:len(codeOrder)], sorted[:]) {
		return s.fail()
	}
	fill(s.codes[:], &code, sorted[:], codeProto[:], 1, 0)
	s.index = 0
	s.state = inLengths
	return true
}

// symbolLengths reads the code lengths of the literal/length and the distance
// alphabet. They form one sequence.
func (s *stream) symbolLengths(in *input) bool {
	end := s.nlit + s.ndist
	for s.index < end {
		if in.n < codeBits+7 {
			in.fill()
		}
		e := s.codes[in.buf&(1<<codeBits-1)]
		size, symbol := uint(e&7), e>>3
		if size == 0 {
			return s.fail()
		}
		var extra, repeat uint
		var length uint8
		switch symbol {
		default:
			length, repeat = symbol, 1
		case 16:
			extra, repeat = 2, 3
			if s.index > 0 {
				length = s.lengths[s.index-1]
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
		if symbol == 16 && s.index == 0 || repeat > uint(end-s.index) {
			return s.fail()
		}
		for range repeat {
			s.lengths[s.index] = length
			s.index++
		}
	}
	s.state = atDynamic
	return true
}

// symbolCodes returns the code lengths of the literal/length and of the distance
// alphabet.
func (s *stream) symbolCodes() (lit, dist []uint8) {
	return s.lengths[:s.nlit], s.lengths[s.nlit : s.nlit+s.ndist]
}
