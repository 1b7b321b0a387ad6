package deflate

// Inflater decompresses one message at a time into a Window, and keeps the first
// bytes of the output. It takes about 7 KiB, but only during a message. It must not
// be copied, and is not safe for concurrent use.
type Inflater struct {
	stream
	window *Window
	start  uint64 // position in the window at which the message begins
	want   uint64 // position at which the prefix ends
	prefix []byte
	kept   bool // the prefix is complete
	whole  bool // decompress the message beyond the prefix

	out    func([]byte) // receives the output; may be nil
	passed uint64       // position up to which out has the output

	codes   *symbolTable // codes of the current block
	dynamic symbolTable
}

// Reset prepares the Inflater for a message whose output goes into w. The first bytes
// of the output also go into prefix, up to its capacity. If rest is false, the
// Inflater stops there. If rest is true, it decompresses the whole message, because
// later messages may copy from it. The prefix of NewWindow must have been at least
// the capacity of prefix.
func (f *Inflater) Reset(w *Window, prefix []byte, rest bool) {
	f.reset()
	f.window, f.prefix, f.whole, f.kept = w, prefix[:0], rest, false
	f.start, f.passed, f.out = w.n, w.n, nil
	f.want = w.n + uint64(cap(prefix))
}

// PassTo makes the Inflater pass all output of the message to out, in parts. A part
// is valid until out returns. Call PassTo after Reset.
func (f *Inflater) PassTo(out func([]byte)) { f.out = out }

// FeedMasked reads the next part of the message's payload, like Counter.FeedMasked.
func (f *Inflater) FeedMasked(p []byte, key [4]byte, offset int64) {
	f.feed(p, keyAt(key, offset))
}

// Prefix returns the first bytes of the message. full reports whether the prefix has
// its full capacity. If not, it may still grow until Finish.
func (f *Inflater) Prefix() (prefix []byte, full bool) { return f.prefix, f.kept }

// Size returns the number of decompressed bytes of the message.
func (f *Inflater) Size() uint64 { return f.window.n - f.start }

// Finish ends the message. It reports whether everything that was decompressed was
// valid.
func (f *Inflater) Finish() (ok bool) {
	if !f.ended() {
		f.feed(tail[:], 0)
	}
	if f.kept && !f.whole {
		return f.state != invalid
	}
	f.keep()
	return f.betweenBlocks()
}

// Release removes the reference to the Window, until the next Reset.
func (f *Inflater) Release() { f.window, f.out = nil, nil }

// keep copies the available part of the prefix.
func (f *Inflater) keep() {
	if f.kept {
		return
	}
	f.prefix = f.prefix[:min(f.window.n, f.want)-f.start]
	f.window.read(f.prefix, f.start)
	f.kept = len(f.prefix) == cap(f.prefix)
}

func (f *Inflater) feed(p []byte, key uint64) {
	in := input{p: p, key: key, buf: f.buf, n: f.nbuf}
	for f.step(&in) {
		f.take()
	}
	f.take()
	f.buf, f.nbuf = in.buf, in.n
}

// take processes the new output in the window.
func (f *Inflater) take() {
	if f.window.n >= f.want {
		f.keep()
	}
	if f.out != nil && f.window.n > f.passed {
		f.window.pass(f.passed, f.out)
		f.passed = f.window.n
	}
}

func (f *Inflater) step(in *input) bool {
	if f.kept && !f.whole {
		return false
	}
	switch f.state {
	case inStored:
		return f.storedData(in)
	case atFixed:
		f.codes, f.state = fixedSymbols, inSymbols
		return true
	case atDynamic:
		if !f.dynamic.init(f.symbolCodes()) {
			return f.fail()
		}
		f.codes, f.state = &f.dynamic, inSymbols
		return true
	case inSymbols:
		return f.symbols(in)
	}
	return f.header(in)
}

// until returns the position at which decompression pauses for take. A match may
// exceed it.
func (f *Inflater) until() uint64 {
	until := ^uint64(0)
	if !f.kept {
		until = f.want
	}
	if f.out != nil {
		until = min(until, f.passed+uint64(len(f.window.ring))-maxMatch)
	}
	return until
}

func (f *Inflater) storedData(in *input) bool {
	until := f.until()
	for f.stored > 0 && f.window.n < until {
		switch {
		case in.n >= 8:
			f.window.put(byte(in.take(8)))
		case len(in.p) > 0:
			f.window.put(in.p[0] ^ byte(in.key))
			in.skip(1)
		default:
			return false
		}
		f.stored--
	}
	if f.stored > 0 {
		return true // the caller calls again for the rest
	}
	return f.endBlock(in)
}

// symbols reads data that is encoded with Huffman codes.
func (f *Inflater) symbols(in *input) bool {
	w, t, until := f.window, f.codes, f.until()
	for w.n < until {
		in.fill()
		symbol, n := t.symbol(in.buf)
		switch {
		case n > in.n:
			return false
		case n == 0 || symbol >= maxLit:
			return f.fail()
		case symbol < endOfBlock:
			in.drop(n)
			w.put(byte(symbol))
			continue
		case symbol == endOfBlock:
			in.drop(n)
			return f.endBlock(in)
		}
		length := lengths[symbol-endOfBlock-1]
		buf, used := in.buf>>n, n+uint(length.extra)
		copied := int(length.base) + int(buf&(1<<length.extra-1))
		buf >>= length.extra
		symbol, n = t.distance(buf)
		if n == 0 || symbol >= maxDist {
			if used > in.n {
				return false
			}
			return f.fail()
		}
		distance := distances[symbol]
		buf >>= n
		if used += n + uint(distance.extra); used > in.n {
			return false
		}
		in.drop(used)
		if !w.copy(uint64(distance.base)+buf&(1<<distance.extra-1), copied) {
			return f.fail()
		}
	}
	return true
}

// extended is the base value of a length or distance symbol, and the number of its
// extra bits (RFC 1951 section 3.2.5).
type extended struct {
	base  uint16
	extra uint8
}

var lengths = func() (all [maxLit - endOfBlock - 1]extended) {
	for i := range all {
		e := litProto[endOfBlock+1+i]
		all[i] = extended{uint16(e >> entryOutput & 0x1fff), uint8(e & 63)}
	}
	return all
}()

var distances = func() (all [maxDist]extended) {
	base := uint16(1)
	for i := range all {
		all[i] = extended{base, distProto[i]}
		base += 1 << distProto[i]
	}
	return all
}()

// symbolTable has the two codes of a block, indexed like table. An entry has the
// symbol, above 4 bits for the length of its code. The length is 0 for an invalid
// code, and 15 for entryLong.
type symbolTable struct {
	lit  [1 << litBits]uint16
	dist [1 << distBits]uint16

	litCode    code
	distCode   code
	litSorted  [maxLit + 2]uint16
	distSorted [maxDist + 2]uint16
}

const (
	symbolShift = 4
	entryLong   = 0xffff
)

var symbolProto = func() (p [maxLit + 2]uint16) {
	for i := range p {
		p[i] = uint16(i) << symbolShift
	}
	return p
}()

// fixedSymbols is the table for blocks with fixed codes.
var fixedSymbols = func() *symbolTable {
	lit, dist := fixedLengths()
	t := new(symbolTable)
	t.init(lit[:], dist[:])
	return t
}()

func (t *symbolTable) init(lit, dist []uint8) bool {
	if !t.litCode.init(lit, t.litSorted[:]) || !t.distCode.init(dist, t.distSorted[:]) {
		return false
	}
	var rest, distRest uint16
	if t.litCode.max > litBits {
		rest = entryLong
	}
	if t.distCode.max > distBits {
		distRest = entryLong
	}
	fill(t.lit[:], &t.litCode, t.litSorted[:], symbolProto[:], 1, rest)
	fill(t.dist[:], &t.distCode, t.distSorted[:], symbolProto[:], 1, distRest)
	return true
}

// symbol returns the literal/length symbol whose code is next in buf, and the length
// of that code. The length is 0 if the code is invalid.
func (t *symbolTable) symbol(buf uint64) (symbol uint16, n uint) {
	return entrySymbol(t.lit[buf&litMask], &t.litCode, t.litSorted[:], buf, litBits)
}

// distance is like symbol, for the distance code.
func (t *symbolTable) distance(buf uint64) (symbol uint16, n uint) {
	return entrySymbol(t.dist[buf&distMask], &t.distCode, t.distSorted[:], buf, distBits)
}

func entrySymbol(e uint16, c *code, sorted []uint16, buf uint64, width uint32) (symbol uint16, n uint) {
	if e != entryLong {
		return e >> symbolShift, uint(e & (1<<symbolShift - 1))
	}
	i, length := c.long(buf, width)
	return sorted[i], uint(length)
}
