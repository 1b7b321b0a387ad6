package count

import (
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
)

// Writing is the number of writes in progress and the sum of their start times. Both are in one
// word, to be read together: 18 bits for the number, two flags for the user of the word, and 44
// bits for the sum, in units of 2^20 ns (about a millisecond), modulo 2^44.
type Writing struct{ word atomic.Uint64 }

// The flags of a Writing. They share the word with the number. So one atomic operation tells a
// write about the flags, and the code that sets a flag about the writes.
const (
	FlagHeld   = 1 << 18
	FlagWanted = 1 << 19
)

const (
	numberMask  = FlagHeld - 1
	startShift  = 20
	writingUnit = time.Duration(1 << startShift)
)

// Begin counts the start of a write, and returns the new word.
func (w *Writing) Begin(start clock.Instant) Word { return Word(w.word.Add(wordOf(start))) }

// End counts the end of a write that began at start, and returns the new word.
func (w *Writing) End(start clock.Instant) Word { return Word(w.word.Add(-wordOf(start))) }

// Load returns the word.
func (w *Writing) Load() Word { return Word(w.word.Load()) }

// Set sets flags, and returns the previous word.
func (w *Writing) Set(flags uint64) Word { return Word(w.word.Or(flags)) }

// Clear clears flags.
func (w *Writing) Clear(flags uint64) { w.word.And(^flags) }

// Swap replaces the word old. It reports false if the word has changed.
func (w *Writing) Swap(old, with Word) bool {
	return w.word.CompareAndSwap(uint64(old), uint64(with))
}

// Word is the value of a Writing.
type Word uint64

// Number returns the number of writes in progress.
func (w Word) Number() uint64 { return uint64(w) & numberMask }

// Has reports whether any of flags is set.
func (w Word) Has(flags uint64) bool { return uint64(w)&flags != 0 }

// Elapsed returns the sum of the times since the starts of the writes in progress.
func (w Word) Elapsed(at clock.Instant) time.Duration {
	units := int64((w.Number()*uint64(at/writingUnit)-uint64(w)>>startShift)<<startShift) >> startShift
	return max(time.Duration(units), 0) * writingUnit // a write may have begun after at
}

// Average returns the average time since the starts of the writes in progress, or 0 without one.
func (w Word) Average(at clock.Instant) time.Duration {
	if w.Number() == 0 {
		return 0
	}
	return w.Elapsed(at) / time.Duration(w.Number())
}

// wordOf returns the word of one write.
func wordOf(start clock.Instant) uint64 { return uint64(start/writingUnit)<<startShift + 1 }

// WriteTimer reports the time of the writes of a series.
type WriteTimer struct {
	reported atomic.Int64 // the maximum so far, in ns
}

// Of returns the time of all writes, including the writes in progress. It never decreases: a write
// that ends during the call may be counted only by the next call.
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
