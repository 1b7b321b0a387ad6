package table

import "sync"

// ringSize is the number of elements in a Ring.
const ringSize = 256

// Ring keeps the last 256 elements that were added. It is safe for concurrent use. Its zero value
// is empty.
type Ring[E any] struct {
	mu  sync.Mutex
	n   uint64
	all []E
}

// Add adds e. A full Ring drops its oldest element.
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

// Newest returns the elements, the newest first.
func (r *Ring[E]) Newest() []E {
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := make([]E, 0, len(r.all))
	for i := range uint64(len(r.all)) {
		newest = append(newest, r.all[(r.n-1-i)%ringSize])
	}
	return newest
}
