package otelws

import (
	"sync/atomic"
	"time"
)

// writing is the number of writes in progress and the sum of their starts, in
// one word so that both are read together: 20 bits of number, and above them 44
// bits of units of 2^20 ns, a millisecond, whose differences are taken modulo 2^44.
type writing struct{ word atomic.Uint64 }

const (
	writingBits = 20
	writingUnit = time.Duration(1 << 20)
)

func (w *writing) add(start instant)    { w.word.Add(writingWord(start)) }
func (w *writing) remove(start instant) { w.word.Add(-writingWord(start)) }

// writingWord is the word of one write.
func writingWord(start instant) uint64 { return uint64(start/writingUnit)<<writingBits + 1 }

// elapsed is how long the writes in progress have taken, in sum, and how many
// they are.
func (w *writing) elapsed(at instant) (sum time.Duration, n uint64) {
	word := w.word.Load()
	n = word & (1<<writingBits - 1)
	units := int64((n*uint64(at/writingUnit)-word>>writingBits)<<writingBits) >> writingBits
	return max(time.Duration(units), 0) * writingUnit, n // one may have begun after at
}

// writeTimer reports the time that the writes of a series took.
type writeTimer struct {
	reported atomic.Int64 // the greatest so far, in ns
}

// of returns the time that the writes took which the tallies count, those in
// progress included. It never goes back: a write that ends while they are read
// is left to the next call.
func (w *writeTimer) of(tallies []*tally) time.Duration {
	at := now()
	var sum int64
	for _, t := range tallies {
		for i := range t.shards {
			s := &t.shards[i]
			sum += s.other[transmit].written.Load()
			for o := range s.whole[transmit] {
				elapsed, _ := s.whole[transmit][o].writing.elapsed(at)
				sum += int64(elapsed)
			}
		}
	}
	for {
		last := w.reported.Load()
		if sum <= last {
			return time.Duration(last)
		}
		if w.reported.CompareAndSwap(last, sum) {
			return time.Duration(sum)
		}
	}
}
