package table

import (
	"math/rand/v2"
	"sync"
	"testing"
)

type element struct {
	Entry
	n int
}

// The table contains the elements that were added and not removed, and All yields
// each of them once.
func TestTable(t *testing.T) {
	var all Table[*element]
	in := make(map[*element]bool)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		if len(in) > 0 && (random.IntN(5) < 2 || i > 15_000) {
			for e := range in {
				all.Remove(e)
				delete(in, e)
				break
			}
		} else {
			e := &element{n: i}
			all.Add(e)
			in[e] = true
		}
	}
	if all.Len() != len(in) {
		t.Errorf("%d elements, want %d", all.Len(), len(in))
	}
	seen, ids := make(map[*element]bool), make(map[uint64]bool)
	for e := range all.All {
		if !in[e] || seen[e] || ids[e.ID()] {
			t.Fatalf("element %d: in %v, seen %v", e.n, in[e], seen[e])
		}
		seen[e], ids[e.ID()] = true, true
	}
	if len(seen) != len(in) {
		t.Errorf("%d elements seen, want %d", len(seen), len(in))
	}
	for range all.All {
		break
	}
}

func TestTableIsConcurrent(t *testing.T) {
	var all Table[*element]
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for range 500 {
				e := new(element)
				all.Add(e)
				for other := range all.All {
					_ = other.ID()
				}
				all.Remove(e)
			}
		})
	}
	workers.Wait()
	if all.Len() != 0 {
		t.Errorf("%d elements are left", all.Len())
	}
}

func BenchmarkTable(b *testing.B) {
	var all Table[*element]
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := new(element)
		for pb.Next() {
			all.Add(e)
			all.Remove(e)
		}
	})
}
