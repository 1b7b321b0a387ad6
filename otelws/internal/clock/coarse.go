package clock

import (
	"sync"
	"sync/atomic"
	"time"
)

// coarseTick is the maximum age of a reading of Coarse.
const coarseTick = 100 * time.Millisecond

// coarse is a clock that a timer updates, as long as it is used.
var coarse struct {
	at   atomic.Int64 // 0 while it is stopped
	used atomic.Bool  // since the last tick
	mu   sync.Mutex
	runs int // number of starts
}

// Coarse returns an instant that is usually at most a tenth of a second older than [Now]. It costs
// only a fraction of Now, and is meant for work on each message.
func Coarse() Instant {
	at := coarse.at.Load()
	if at == 0 {
		return startCoarse()
	}
	if !coarse.used.Load() {
		coarse.used.Store(true)
	}
	return Instant(at)
}

// Begin returns the current instant, for a connection that begins. It restarts a coarse clock that
// has stood still: a bubble of testing/synctest has a clock of its own, and its timers end with it.
func Begin() Instant {
	now := Now()
	if at := Instant(coarse.at.Load()); at != 0 && (now < at || now-at > 10*coarseTick) {
		coarse.mu.Lock()
		defer coarse.mu.Unlock()
		runCoarse()
	}
	return now
}

func startCoarse() Instant {
	coarse.mu.Lock()
	defer coarse.mu.Unlock()
	if coarse.at.Load() == 0 {
		runCoarse()
	}
	return Instant(coarse.at.Load())
}

// runCoarse starts the clock. The caller holds the lock.
func runCoarse() {
	coarse.runs++
	coarse.at.Store(int64(Now()))
	waitCoarse(coarse.runs)
}

func waitCoarse(run int) { time.AfterFunc(coarseTick, func() { tickCoarse(run) }) }

func tickCoarse(run int) {
	coarse.mu.Lock()
	defer coarse.mu.Unlock()
	switch {
	case run != coarse.runs:
	case !coarse.used.Swap(false):
		coarse.at.Store(0)
	default:
		coarse.at.Store(int64(Now()))
		waitCoarse(run)
	}
}
