package deflate_test

import (
	"bytes"
	"compress/flate"
	"io"
)

// maxOutput limits the output, because a few KiB can decompress to many MiB.
const maxOutput = 16 << 20

// window is a preset dictionary. No match can begin before it.
var window = make([]byte, 32<<10)

// inflate decompresses a message's payload with compress/flate. ok reports whether it
// is valid, as Counter.Finish does.
func inflate(payload []byte) (n int64, ok bool) {
	const tail = "\x00\x00\xff\xff"
	if n, ok := read(payload); ok {
		return n, true // it ends with a final block
	}
	// If both of these final blocks can follow, the payload and its tail end between
	// two blocks, on a byte.
	n, ok = read(append(bytes.Clone(payload), tail+"\x03\x00"...))
	m, ok2 := read(append(bytes.Clone(payload), tail+"\x01\x00\x00\xff\xff"...))
	return n, ok && ok2 && n == m
}

// read reads consecutive streams until the end of the bytes.
func read(p []byte) (n int64, ok bool) {
	if len(p) == 0 {
		return 0, false
	}
	b := bytes.NewReader(p)
	r := flate.NewReaderDict(b, window)
	for {
		m, err := io.Copy(io.Discard, io.LimitReader(r, maxOutput-n))
		n += m
		if err != nil || n == maxOutput {
			return n, false
		}
		if b.Len() == 0 {
			return n, true
		}
		if err := r.(flate.Resetter).Reset(b, window); err != nil {
			return n, false
		}
	}
}
