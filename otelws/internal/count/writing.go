package count

import (
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
)

// Writing is the number of writes in progress and the sum of their starts, in
// one word so that both are read together: 18 bits of number, two that a user of
// the word may set, and above them 44 bits of units of 2^20 ns, a millisecond,
// whose differences are taken modulo 2^44.
type Writing struct{ word atomic.Uint64 }

// The flags of a Writing. They stand beside the number, so that a write learns of
// them, and whoever sets them of the writes, by one atomic operation.
const (
	FlagHeld   = 1 << 18
	FlagWanted = 1 << 19
)

const (
	numberMask  = FlagHeld - 1
	startShift  = 20
	writingUnit = time.Duration(1 << startShift)
)

// Begin counts a write that begins, and returns the word with it.
func (w *Writing) Begin(start clock.Instant) Word { return Word(w.word.Add(wordOf(start))) }

// End counts the end of a write that began at start, and returns the word
// without it.
func (w *Writing) End(start clock.Instant) Word { return Word(w.word.Add(-wordOf(start))) }

// Load returns the word.
func (w *Writing) Load() Word { return Word(w.word.Load()) }

// Set sets flags, and returns the word before.
func (w *Writing) Set(flags uint64) Word { return Word(w.word.Or(flags)) }

// Clear clears flags.
func (w *Writing) Clear(flags uint64) { w.word.And(^flags) }

// Swap replaces the word old, unless it has changed.
func (w *Writing) Swap(old, with Word) bool {
	return w.word.CompareAndSwap(uint64(old), uint64(with))
}

// Word is a Writing at one moment.
type Word uint64

// Number is the number of writes in progress.
func (w Word) Number() uint64 { return uint64(w) & numberMask }

// Has says whether any of flags is set.
func (w Word) Has(flags uint64) bool { return uint64(w)&flags != 0 }

// Elapsed is the sum of the times that the writes in progress have taken.
func (w Word) Elapsed(at clock.Instant) time.Duration {
	units := int64((w.Number()*uint64(at/writingUnit)-uint64(w)>>startShift)<<startShift) >> startShift
	return max(time.Duration(units), 0) * writingUnit // one may have begun after at
}

// wordOf is the word of one write.
func wordOf(start clock.Instant) uint64 { return uint64(start/writingUnit)<<startShift + 1 }

// WriteTimer reports the time that the writes of a series took.
type WriteTimer struct {
	reported atomic.Int64 // the greatest so far, in ns
}

// Of returns the time that the writes of all took, including the writes in
// progress. It never goes back: a write that ends while they are read is left to
// the next call.
func (w *WriteTimer) Of(all []*Traffic) time.Duration {
	at := clock.Now()
	var sum int64
	for _, t := range all {
		for i := range t.shards {
			s := &t.shards[i]
			sum += s.other[Transmit].written.Load()
			for o := range s.single[Transmit] {
				sum += int64(s.single[Transmit][o].writing.Load().Elapsed(at))
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
