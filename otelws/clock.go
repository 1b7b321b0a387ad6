package otelws

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// epoch is what instants are measured from: a difference of two monotonic
// readings costs half of what time.Now does.
var epoch = time.Now()

// instant is a time since epoch.
type instant = time.Duration

func now() instant { return time.Since(epoch) }

// coarseClock is what writes are timed by. Read thousands of times a second, it
// goes in ticks of some ten milliseconds, and reading it costs next to nothing:
// what is timed is then right on average, and within a tick where it takes
// longer. Read less often it is exact, and nothing runs.
type coarseClock struct {
	at   atomic.Int64 // the instant of the last tick, 0 while the clock is exact
	read atomic.Bool  // since the last tick

	exact atomic.Uint32 // readings while it was exact

	mu    sync.Mutex
	begun instant // of the burst of exact readings that is under way
	ticks int     // left until it is exact again
	timer *time.Timer
}

const (
	// burst is how many exact readings within tickPeriod start the ticks.
	burst      = 64
	tickPeriod = 10 * time.Millisecond
	// maxTicks bounds how long it ticks before it looks how often it is read.
	maxTicks = 100
)

func (c *coarseClock) now() instant {
	at := c.at.Load()
	if at == 0 {
		return c.readExact()
	}
	if !c.read.Load() {
		c.read.Store(true)
	}
	return instant(at)
}

func (c *coarseClock) readExact() instant {
	at := now()
	if c.exact.Add(1)%burst == 0 {
		c.counted(at)
	}
	return at
}

// counted is called at the end of each burst of exact readings.
func (c *coarseClock) counted(at instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	quick := at-c.begun < tickPeriod
	c.begun = at
	if !quick || c.at.Load() != 0 {
		return
	}
	c.ticks = maxTicks
	c.at.Store(int64(now()))
	if c.timer == nil {
		c.timer = time.AfterFunc(period(), c.tick)
	} else {
		c.timer.Reset(period())
	}
}

func (c *coarseClock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticks--
	if c.ticks == 0 || !c.read.Swap(false) {
		c.begun = now()
		c.at.Store(0)
		return
	}
	c.at.Store(int64(now()))
	c.timer.Reset(period())
}

// period varies, so that it keeps no step with what it measures.
func period() time.Duration { return tickPeriod/2 + rand.N(tickPeriod) }
