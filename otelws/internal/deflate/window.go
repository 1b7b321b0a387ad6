package deflate

import "math/bits"

// maxMatch is the longest match (RFC 1951 section 3.2.5).
const maxMatch = 258

// Window holds the end of the output of an Inflater, because later matches may copy
// from it. With context takeover (RFC 7692 section 7.1.1), it is kept between
// messages.
type Window struct {
	ring []byte // its length is a power of two
	n    uint64 // number of bytes written so far
}

// NewWindow returns a Window of at least 1<<windowBits bytes. It is larger if a
// prefix of this length needs more.
func NewWindow(windowBits, prefix int) *Window {
	size := uint(prefix + maxMatch)
	return &Window{ring: make([]byte, max(1<<windowBits, 1<<bits.Len(size-1)))}
}

// Reset empties the Window.
func (w *Window) Reset() { w.n = 0 }

func (w *Window) at(n uint64) int { return int(n) & (len(w.ring) - 1) }

func (w *Window) put(b byte) {
	w.ring[w.at(w.n)] = b
	w.n++
}

// copy appends bytes that were written distance bytes ago. It returns false if there
// are no such bytes.
func (w *Window) copy(distance uint64, length int) bool {
	if distance > min(w.n, uint64(len(w.ring))) {
		return false
	}
	from, to := w.at(w.n-distance), w.at(w.n)
	w.n += uint64(length)
	if max(from, to)+length <= len(w.ring) {
		// A copy may overlap its own output, which then repeats.
		for have := int(distance); length > 0; have *= 2 {
			n := copy(w.ring[to:to+min(length, have)], w.ring[from:])
			to += n
			length -= n
		}
		return true
	}
	mask := len(w.ring) - 1
	for range length {
		w.ring[to&mask] = w.ring[from&mask]
		from++
		to++
	}
	return true
}

// read copies the bytes from position n on.
func (w *Window) read(dst []byte, n uint64) {
	k := copy(dst, w.ring[w.at(n):])
	copy(dst[k:], w.ring)
}

// pass calls out with the bytes from position n on.
func (w *Window) pass(n uint64, out func([]byte)) {
	from, to := w.at(n), w.at(n)+int(w.n-n)
	out(w.ring[from:min(to, len(w.ring))])
	if to > len(w.ring) {
		out(w.ring[:to-len(w.ring)])
	}
}
