package otelws

import (
	"sync"
	"testing"
	"time"
)

// Number and starts of the writes in progress are in one word.
func TestWriting(t *testing.T) {
	var w writing
	year := 365 * 24 * time.Hour
	w.add(time.Second)
	w.add(year)
	if got, want := w.elapsed(year+3*time.Second), year+5*time.Second; got != want {
		t.Errorf("two writes: %v, want %v", got, want)
	}
	w.remove(time.Second)
	if got := w.elapsed(year + 3*time.Second); got != 3*time.Second {
		t.Errorf("one write: %v", got)
	}
	if got := w.elapsed(year - time.Second); got != 0 {
		t.Errorf("a write that began after the collection: %v", got)
	}
	w.remove(year)
	if got := w.elapsed(year); got != 0 || w.word.Load() != 0 {
		t.Errorf("no write: %v, word %x", got, w.word.Load())
	}
	for range 1000 {
		w.add(time.Minute)
	}
	if got := w.elapsed(2 * time.Minute); got != 1000*time.Minute {
		t.Errorf("a thousand writes: %v", got)
	}
}

// Collected while writes begin and end, the write time never goes back, and
// never counts a write twice.
func TestWriteTime(t *testing.T) {
	tr := &traffic{shards: make([]shard, 1)} // one, to meet the writer often
	s := tr.shard()
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
			s.beginWrite(at - long)
			s.endWrite(at-long, at)
			writes++
		}
	})
	var last time.Duration
	collections := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		got := tr.writeTime()
		if got < last {
			t.Fatalf("write time went from %v back to %v", last, got)
		}
		last = got
		collections++
	}
	close(done)
	writer.Wait()
	if got, want := tr.writeTime(), time.Duration(writes)*long; got > want+long/2 {
		t.Errorf("%d writes of a second took %v (%d collections)", writes, got, collections)
	}
}
