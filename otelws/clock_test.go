package otelws

import (
	"testing"
	"testing/synctest"
	"time"
)

// Read seldom, the clock is exact, and has no timer.
func TestClockExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := coarseClock{begun: now()}
		for range 10 * burst {
			if got := c.now(); got != now() {
				t.Fatalf("the clock shows %v at %v", got, now())
			}
			time.Sleep(tickPeriod / burst * 2)
		}
		if c.timer != nil {
			t.Error("there is a timer")
		}
	})
}

// Read often, it goes in ticks, until it is read no more.
func TestClockTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := coarseClock{begun: now()}
		const step = tickPeriod / burst / 4
		last, changes := c.now(), 0
		for range 100 * burst {
			time.Sleep(step)
			got := c.now()
			switch late := now() - got; {
			case late < 0 || late > 3*tickPeriod/2:
				t.Fatalf("the clock is %v late", late)
			case got < last:
				t.Fatalf("the clock went from %v to %v", last, got)
			case got > last:
				changes++
			}
			last = got
		}
		if changes > 10*burst {
			t.Errorf("%d readings gave %d times", 100*burst, changes)
		}
		time.Sleep(4 * tickPeriod)
		if c.at.Load() != 0 {
			t.Error("it goes on ticking")
		}
		if got := c.now(); got != now() {
			t.Errorf("the clock shows %v at %v", got, now())
		}
	})
}

// Read now and then, it does not go on ticking because it was once read often.
func TestClockCalmsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := coarseClock{begun: now()}
		for range 3 * burst {
			c.now()
		}
		if c.at.Load() == 0 {
			t.Fatal("it does not tick")
		}
		for range 2 * maxTicks {
			time.Sleep(tickPeriod)
			c.now()
		}
		if c.at.Load() != 0 {
			t.Error("it goes on ticking")
		}
	})
}

// What is timed by ticks is right on average, and within a tick for what takes long.
func TestClockMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := coarseClock{begun: now()}
		var short time.Duration
		const n, each = 50_000, tickPeriod / 100
		for range n {
			begun := c.now()
			time.Sleep(each)
			short += c.now() - begun
			time.Sleep(each / 4)
		}
		if want := time.Duration(n * each); short < want*9/10 || short > want*11/10 {
			t.Errorf("%d of %v took %v", n, each, short)
		}
		begun := c.now()
		time.Sleep(time.Second)
		if took := c.now() - begun; took < time.Second-2*tickPeriod || took > time.Second+2*tickPeriod {
			t.Errorf("a second took %v", took)
		}
	})
}
