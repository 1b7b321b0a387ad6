package deflate

// Inflater inflates one message at a time into a Window, and keeps its first bytes.
// It takes about 7 KiB, none of which is needed between messages. It must not be
// copied, and is not safe for concurrent use.
type Inflater struct {
	stream
	window *Window
	start  uint64 // of the message in the window
	want   uint64 // where the prefix ends
	prefix []byte
	kept   bool // the prefix is whole
	whole  bool // the message is inflated also after that

	out    func([]byte) // nil where nobody wants all of it
	passed uint64       // how far out has it

	codes   *symbolTable // of the current block
	dynamic symbolTable
}

// Reset makes the Inflater ready for a message whose output goes into w. Its first
// bytes, up to the capacity of prefix, go there. The rest of it is inflated only
// where rest is true, as the messages after it need it that copy from the window.
// What NewWindow was given must be at least that capacity.
func (f *Inflater) Reset(w *Window, prefix []byte, rest bool) {
	f.reset()
	f.window, f.prefix, f.whole, f.kept = w, prefix[:0], rest, false
	f.start, f.passed, f.out = w.n, w.n, nil
	f.want = w.n + uint64(cap(prefix))
}

// PassTo has out called with all output of the message, part by part, each valid
// until out returns. It is called after Reset.
func (f *Inflater) PassTo(out func([]byte)) { f.out = out }

// FeedMasked reads the next bytes of the message's payload, as Counter.FeedMasked
// does.
func (f *Inflater) FeedMasked(p []byte, key [4]byte, offset int64) {
	f.feed(p, keyAt(key, offset))
}

// Prefix returns the first bytes of the message. full says whether there are as many
// as were asked for; else, before Finish, it may go on.
func (f *Inflater) Prefix() (prefix []byte, full bool) { return f.prefix, f.kept }

// Size is how many bytes of the message have been inflated.
func (f *Inflater) Size() uint64 { return f.window.n - f.start }

// Finish ends the message. It says whether all that was inflated was valid.
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

// Release has the Inflater let go of its Window, until Reset.
func (f *Inflater) Release() { f.window, f.out = nil, nil }

// keep keeps the prefix, as far as it has come.
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

// take takes what has come from the window.
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

// until is where inflating stops for take. A match may go beyond.
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
		return true // to be called again, for the rest
	}
	return f.endBlock(in)
}

// symbols reads the data of a block with Huffman codes.
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

// extended is the least number of a symbol's, and how many bits add to it (RFC 1951
// section 3.2.5).
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

// symbolTable is the two codes of a block. It is looked up as a table is, and an
// entry has the symbol above the 4 bits for the code's length, which is 0 for what
// is no code, and is 15 in entryLong.
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

// fixedSymbols is the table of blocks with fixed codes.
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
// of that code, 0 where there is none.
func (t *symbolTable) symbol(buf uint64) (symbol uint16, n uint) {
	return entrySymbol(t.lit[buf&litMask], &t.litCode, t.litSorted[:], buf, litBits)
}

// distance is symbol for a distance.
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
