//go:build !race

// Under the race detector, a sync.Pool drops some of its values.

package messagekind_test

import "testing"

func TestReadersAllocateNothing(t *testing.T) {
	for _, r := range readerCases {
		k := declare(t, r.reader, r.declared...)
		for _, c := range r.messages {
			m := c.message()
			if n := testing.AllocsPerRun(5, func() { k.Read(m) }); n != 0 {
				t.Errorf("%s: %.60q: %v allocations", r.name, c.bytes, n)
			}
		}
	}
}
