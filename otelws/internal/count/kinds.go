package count

import (
	"math"
	"sync/atomic"
)

// KindShard holds the counts of some connections by the kind of their messages.
type KindShard struct {
	counts [Directions][]kindCount
	sizes  [Directions][]sizes // nil without sizes
}

type kindCount struct{ messages, bytes atomic.Int64 }

// Add counts a message of size bytes, of the kind with index kind.
func (s *KindShard) Add(d Direction, kind int, size int64) {
	c := &s.counts[d][kind]
	c.messages.Add(1)
	c.bytes.Add(size)
	if s.sizes[d] != nil {
		s.sizes[d][kind].add(size)
	}
}

// maxKindCounts limits the memory of all Traffics of a side for kinds, to 4 MiB without sizes.
// kindCountsLine keeps two neighbours out of the same cache line.
const (
	maxKindCounts  = 1 << 18
	kindCountsLine = 8
)

// CountKinds makes t count messages by n kinds, and their sizes if withSizes is true. traffics is the
// number of Traffics of the side. Call it before there are connections.
func (t *Traffic) CountKinds(n int, withSizes bool, traffics int) {
	stride := (n + kindCountsLine - 1) / kindCountsLine * kindCountsLine
	shards := len(t.shards)
	for shards > 1 && shards*traffics*stride*Directions > maxKindCounts {
		shards /= 2
	}
	t.kinds = make([]KindShard, shards)
	all := make([]kindCount, shards*Directions*stride)
	for i := range t.kinds {
		for d := range t.kinds[i].counts {
			t.kinds[i].counts[d], all = all[:n:n], all[stride:]
			if !withSizes {
				continue
			}
			of := make([]sizes, n)
			for k := range of {
				of[k].resetExtremes()
			}
			t.kinds[i].sizes[d] = of
		}
	}
}

// KindShard returns the KindShard of the next connection, or nil without CountKinds.
func (t *Traffic) KindShard() *KindShard {
	if len(t.kinds) == 0 {
		return nil
	}
	return &t.kinds[t.nextKinds.Add(1)%uint32(len(t.kinds))]
}

// KindTotals are the number of messages of one kind in one direction, and the sum of their sizes.
type KindTotals struct{ Messages, Bytes int64 }

// KindsOf returns the totals of all in one direction, by the index of the kind.
func KindsOf(all []*Traffic, d Direction, kinds int) []KindTotals {
	sum := make([]KindTotals, kinds)
	for _, t := range all {
		for i := range t.kinds {
			for k := range sum {
				c := &t.kinds[i].counts[d][k]
				sum[k].Messages += c.messages.Load()
				sum[k].Bytes += c.bytes.Load()
			}
		}
	}
	return sum
}

// MessagesOfKind is like Messages, for one kind. CountKinds must have asked for sizes.
func MessagesOfKind(all []*Traffic, d Direction, kind int) *Histogram {
	h := &Histogram{Least: math.MaxInt64, Greatest: math.MinInt64}
	for _, t := range all {
		for i := range t.kinds {
			s := &t.kinds[i].sizes[d][kind]
			for b := range s.buckets {
				h.Counts[b] += uint64(s.buckets[b].Load())
			}
			h.Sum += t.kinds[i].counts[d][kind].bytes.Load()
			least, greatest := s.resetExtremes()
			h.Least, h.Greatest = min(h.Least, least), max(h.Greatest, greatest)
		}
	}
	return h
}
