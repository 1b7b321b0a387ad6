// Package table keeps a set of the live connections.
package table

import (
	"sync"
	"sync/atomic"
)

// Entry is embedded in an element, for use by the table. The zero value is in no table.
type Entry struct {
	id    uint64
	place uint32 // index in its shard; guarded by the shard's lock
}

// ID returns the number of the element. The table numbers elements from 1, in the order of Add.
func (e *Entry) ID() uint64 { return e.id }

// TableEntry returns e. It is promoted to structs that embed an Entry.
func (e *Entry) TableEntry() *Entry { return e }

// Element is an element of a table: a pointer to a struct that embeds an Entry.
type Element interface {
	comparable
	TableEntry() *Entry
}

const shards = 64 // enough to avoid contention between connections that open

// Table is a set of elements. It is safe for concurrent use. Its zero value is empty.
type Table[E Element] struct {
	ids    atomic.Uint64
	n      atomic.Int64
	shards [shards]shard[E]
}

type shard[E Element] struct {
	mu  sync.Mutex
	all []E
	_   [32]byte
}

func (t *Table[E]) shardOf(e *Entry) *shard[E] { return &t.shards[e.id%shards] }

// Len returns the number of elements.
func (t *Table[E]) Len() int { return int(t.n.Load()) }

// Add adds e. An element may be added only once.
func (t *Table[E]) Add(e E) {
	entry := e.TableEntry()
	entry.id = t.ids.Add(1)
	s := t.shardOf(entry)
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.place = uint32(len(s.all))
	s.all = append(s.all, e)
	t.n.Add(1)
}

// Remove removes e. It must have been added, and not been removed.
func (t *Table[E]) Remove(e E) {
	entry := e.TableEntry()
	s := t.shardOf(entry)
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.all) - 1
	moved := s.all[last]
	s.all[entry.place] = moved
	moved.TableEntry().place = entry.place
	var none E
	s.all[last] = none
	s.all = s.all[:last]
	if cap(s.all) > 64 && last < cap(s.all)/4 {
		s.all = append(make([]E, 0, cap(s.all)/2), s.all...)
	}
	t.n.Add(-1)
}

// All yields the elements, one shard at a time. It holds no lock while it yields. Elements that are
// added or removed during the iteration may or may not be included.
func (t *Table[E]) All(yield func(E) bool) {
	var copied []E
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		copied = append(copied[:0], s.all...)
		s.mu.Unlock()
		for _, e := range copied {
			if !yield(e) {
				return
			}
		}
	}
}
