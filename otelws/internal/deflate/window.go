package deflate

import "math/bits"

// maxMatch is the longest match (RFC 1951 section 3.2.5).
const maxMatch = 258

// Window is the end of the output of an Inflater: what the matches that come next
// may copy. It outlives a message where the sender takes its context over to the
// next (RFC 7692 section 7.1.1).
type Window struct {
	ring []byte // a power of two
	n    uint64 // bytes ever written
}

// NewWindow returns a Window of 1<<bits bytes, and of more where prefix bytes of a
// message are to be kept.
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

// copy copies what was written distance bytes ago. It returns false where there is
// no such byte.
func (w *Window) copy(distance uint64, length int) bool {
	if distance > min(w.n, uint64(len(w.ring))) {
		return false
	}
	from, to := w.at(w.n-distance), w.at(w.n)
	w.n += uint64(length)
	if max(from, to)+length <= len(w.ring) {
		// What is copied can be copied in turn: it repeats itself.
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

// read reads the bytes from n on.
func (w *Window) read(dst []byte, n uint64) {
	k := copy(dst, w.ring[w.at(n):])
	copy(dst[k:], w.ring)
}

// pass passes what was written from n on to out.
func (w *Window) pass(n uint64, out func([]byte)) {
	from, to := w.at(n), w.at(n)+int(w.n-n)
	out(w.ring[from:min(to, len(w.ring))])
	if to > len(w.ring) {
		out(w.ring[:to-len(w.ring)])
	}
}
