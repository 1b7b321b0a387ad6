package table

import "sync"

// ringSize is how many elements a Ring keeps.
const ringSize = 256

// Ring keeps the last 256 elements that were added. It is safe for concurrent use.
// The zero value is empty.
type Ring[E any] struct {
	mu  sync.Mutex
	n   uint64
	all []E
}

// Add adds e, in place of the oldest one where there are 256.
func (r *Ring[E]) Add(e E) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) < ringSize {
		r.all = append(r.all, e)
	} else {
		r.all[r.n%ringSize] = e
	}
	r.n++
}

// Newest returns the elements, the last one first.
func (r *Ring[E]) Newest() []E {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := make([]E, 0, len(r.all))
	for i := range uint64(len(r.all)) {
		newest = append(newest, r.all[(r.n-1-i)%ringSize])
	}
	return newest
}
