package count

import (
	"math"
	"runtime"
	"sync/atomic"
)

// Traffic holds the counts of the connections with one attribute set.
type Traffic struct {
	masked [Directions]bool // whether frames are masked
	shards []Shard
	next   atomic.Uint32

	kinds     []KindShard // nil without CountKinds
	nextKinds atomic.Uint32
}

// NewTraffic returns the Traffic of accepted or dialed connections, with n shards. ShardsFor
// returns n.
func NewTraffic(accepted bool, n int) *Traffic {
	t := &Traffic{shards: make([]Shard, n)}
	t.masked[Receive], t.masked[Transmit] = accepted, !accepted
	for i := range t.shards {
		for d := range t.shards[i].other {
			t.shards[i].other[d].resetExtremes()
		}
	}
	return t
}

// maxShards limits the number of shards of all Traffics of a side together, to 5 MB.
const maxShards = 8192

// ShardsFor returns the number of shards for each of n Traffics. It is a few for each core, or
// fewer if there are many Traffics, because these already spread the load.
func ShardsFor(n int) int {
	shards := 4
	for shards < 4*runtime.GOMAXPROCS(0) && shards < 256 {
		shards *= 2
	}
	for shards > 1 && shards*n > maxShards {
		shards /= 2
	}
	return shards
}

// Shard returns the shard of the next connection. Connections on different cores rarely share one.
func (t *Traffic) Shard() *Shard {
	return &t.shards[t.next.Add(1)%uint32(len(t.shards))]
}

// Totals are the sums of some Traffics.
type Totals struct {
	Frames        [Directions][len(Opcodes)]int64
	Bytes         [Directions]int64
	Wire, Decoded [Directions]int64
}

// Sum returns the totals of all.
func Sum(all []*Traffic) *Totals {
	sum := new(Totals)
	for _, t := range all {
		for i := range t.shards {
			for d := range Direction(Directions) {
				t.shards[i].addTo(sum, d, t.masked[d])
			}
		}
	}
	return sum
}

func (s *Shard) addTo(sum *Totals, d Direction, masked bool) {
	other := &s.other[d]
	for o := range other.frames {
		sum.Frames[d][o] += other.frames[o].Load()
	}
	sum.Bytes[d] += other.bytes.Load()
	sum.Wire[d] += other.wire.Load()
	sum.Decoded[d] += other.decoded.Load()
	for i := range s.single[d] {
		w := &s.single[d][i]
		for c, class := range singleClasses {
			header := int64(class.header)
			if masked {
				header += 4
			}
			n := w.count[c].Load()
			sum.Frames[d][opcodeIndex[singleOpcodes[i]]] += n
			sum.Bytes[d] += n * header
		}
		sum.Bytes[d] += w.sum.Load()
	}
}

// Histogram counts the messages of one direction, by SizeBounds.
type Histogram struct {
	Counts          [len(SizeBounds) + 1]uint64
	Sum             int64
	Least, Greatest int64 // since the last call; without a message, Least is greater than Greatest
}

// Messages returns the histogram of the message sizes of all.
func Messages(all []*Traffic, d Direction) *Histogram {
	h := &Histogram{Least: math.MaxInt64, Greatest: math.MinInt64}
	extremes := func(least, greatest int64) {
		h.Least, h.Greatest = min(h.Least, least), max(h.Greatest, greatest)
	}
	for _, t := range all {
		for i := range t.shards {
			other := &t.shards[i].other[d]
			for b := range other.buckets {
				h.Counts[b] += uint64(other.buckets[b].Load())
			}
			h.Sum += other.sum.Load()
			extremes(other.resetExtremes())
			for o := range t.shards[i].single[d] {
				w := &t.shards[i].single[d][o]
				for c, class := range singleClasses {
					h.Counts[class.bucket] += uint64(w.count[c].Load())
				}
				h.Sum += w.sum.Load()
				extremes(w.extremes.reset())
			}
		}
	}
	return h
}
