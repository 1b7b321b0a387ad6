package deflate_test

import (
	"compress/flate"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
)

// FuzzCounter compares the Counter with compress/flate on any bytes.
func FuzzCounter(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte(m.payload))
	}
	c := new(deflate.Counter)
	f.Fuzz(func(t *testing.T, payload []byte) {
		n, ok := count(c, payload)
		want, wantOK := inflate(payload)
		if ok != wantOK || ok && n != want {
			t.Fatalf("counted %d %v, want %d %v", n, ok, want, wantOK)
		}
	})
}

// FuzzCompressed compresses any data at any level, with a flush in the middle, and
// feeds the result in two masked pieces.
func FuzzCompressed(f *testing.F) {
	f.Add([]byte("to be or not to be"), 1, uint(5), uint(3), uint(1))
	c := new(deflate.Counter)
	f.Fuzz(func(t *testing.T, data []byte, level int, flush, split, offset uint) {
		level = max(level%10, flate.HuffmanOnly)
		i := int(flush % uint(len(data)+1))
		payload := compress(t, level, data[:i], data[i:])
		j := int(split % uint(len(payload)+1))
		n, ok := countMasked(c, payload, j, int64(offset%8))
		if n != int64(len(data)) || !ok {
			t.Fatalf("counted %d %v, want %d", n, ok, len(data))
		}
	})
}
