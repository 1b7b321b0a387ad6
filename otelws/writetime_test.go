package otelws

import (
	"sync"
	"testing"
	"time"
)

// Number and starts of the writes in progress are in one word.
func TestWriting(t *testing.T) {
	const s = 1000 * writingUnit
	var w writing
	elapsed := func(at instant) time.Duration {
		sum, _ := w.elapsed(at)
		return sum
	}
	year := (365 * 24 * time.Hour).Truncate(s)
	w.add(s)
	w.add(year)
	if got, want := elapsed(year+3*s), year+5*s; got != want {
		t.Errorf("two writes: %v, want %v", got, want)
	}
	w.remove(s)
	if got := elapsed(year + 3*s); got != 3*s {
		t.Errorf("one write: %v", got)
	}
	if got := elapsed(year - s); got != 0 {
		t.Errorf("a write that began after the collection: %v", got)
	}
	w.remove(year)
	if got := elapsed(year); got != 0 || w.word.Load() != 0 {
		t.Errorf("no write: %v, word %x", got, w.word.Load())
	}
	for range 1000 {
		w.add(s)
	}
	if got, n := w.elapsed(2 * s); got != 1000*s || n != 1000 {
		t.Errorf("%d writes, want a thousand: %v", n, got)
	}
}

// Collected while writes begin and end, the write time never goes back, and
// never counts a write twice.
func TestWriteTimer(t *testing.T) {
	tallies := []*tally{newTally(server)}
	tallies[0].makeShards(1) // one, to meet the writer often
	s := tallies[0].shard()
	shared := &s.whole[transmit][0].writing
	const long = time.Second
	done := make(chan struct{})
	var writer sync.WaitGroup
	writes := 0
	writer.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			at := now()
			shared.add(at - long)
			s.endWrite(shared, at-long, at)
			writes++
		}
	})
	var timer writeTimer
	var last time.Duration
	collections := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		got := timer.of(tallies)
		if got < last {
			t.Fatalf("write time went from %v back to %v", last, got)
		}
		last = got
		collections++
	}
	close(done)
	writer.Wait()
	if got, want := timer.of(tallies), time.Duration(writes)*long; got < want-long/2 || got > want+long/2 {
		t.Errorf("%d writes of a second took %v (%d collections)", writes, got, collections)
	}
}
