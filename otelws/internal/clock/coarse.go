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

func startCoarse() Instant {
	coarse.mu.Lock()
	defer coarse.mu.Unlock()
	if coarse.at.Load() == 0 {
		coarse.at.Store(int64(max(Now(), 1)))
		time.AfterFunc(coarseTick, tickCoarse)
	}
	return Instant(coarse.at.Load())
}

func tickCoarse() {
	coarse.mu.Lock()
	defer coarse.mu.Unlock()
	if !coarse.used.Swap(false) {
		coarse.at.Store(0)
		return
	}
	coarse.at.Store(int64(Now()))
	time.AfterFunc(coarseTick, tickCoarse)
}
