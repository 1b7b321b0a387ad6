package count

import (
	"sync"
	"testing"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// One word holds the number and the start times of the writes in progress.
func TestWriting(t *testing.T) {
	const s = 1000 * writingUnit
	var w Writing
	elapsed := func(at clock.Instant) time.Duration {
		return w.Load().Elapsed(at)
	}
	year := (365 * 24 * time.Hour).Truncate(s)
	w.Begin(s)
	w.Begin(year)
	if got, want := elapsed(year+3*s), year+5*s; got != want {
		t.Errorf("two writes: %v, want %v", got, want)
	}
	w.End(s)
	if got := elapsed(year + 3*s); got != 3*s {
		t.Errorf("one write: %v", got)
	}
	if got := elapsed(year - s); got != 0 {
		t.Errorf("a write that began after the collection: %v", got)
	}
	w.End(year)
	if got := elapsed(year); got != 0 || w.word.Load() != 0 {
		t.Errorf("no write: %v, word %x", got, w.word.Load())
	}
	for range 1000 {
		w.Begin(s)
	}
	if got, n := w.Load().Elapsed(2*s), w.Load().Number(); got != 1000*s || n != 1000 {
		t.Errorf("%d writes, want a thousand: %v", n, got)
	}
}

// The write time includes a write in progress, and does not count it again at its end.
func TestWriteTimerOfBlockedWrite(t *testing.T) {
	all := []*Traffic{NewTraffic(true, 1)}
	s, timer := all[0].Shard(), new(WriteTimer)
	singles := s.Singles(Transmit, frame.Text)
	begun := clock.Now() - time.Minute
	s.BeginWrite(singles, begun)
	before := timer.Of(all)
	s.EndWrite(singles, begun, clock.Now())
	after := timer.Of(all)
	if before < time.Minute-time.Second || after < before || after > 2*time.Minute-time.Second {
		t.Errorf("a write of a minute took %v before its end, and %v after it", before, after)
	}
}

// The write time never decreases, and counts no write twice, while writes begin and
// end concurrently.
func TestWriteTimer(t *testing.T) {
	all := []*Traffic{NewTraffic(true, 1)} // one shard, so that reads and writes collide often
	s := all[0].Shard()
	singles := s.Singles(Transmit, frame.Text)
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
			at := clock.Now()
			s.BeginWrite(singles, at-long)
			s.EndWrite(singles, at-long, at)
			writes++
		}
	})
	var timer WriteTimer
	var last time.Duration
	collections := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		got := timer.Of(all)
		if got < last {
			t.Fatalf("write time went from %v back to %v", last, got)
		}
		last = got
		collections++
	}
	close(done)
	writer.Wait()
	if got, want := timer.Of(all), time.Duration(writes)*long; got < want-long/2 || got > want+long/2 {
		t.Errorf("%d writes of a second took %v (%d collections)", writes, got, collections)
	}
}
