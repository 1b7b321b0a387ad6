package wheel

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type timer struct {
	Entry
	fired []time.Time
	fire  func()
}

func (t *timer) Fire() {
	t.fired = append(t.fired, time.Now())
	if t.fire != nil {
		t.fire()
	}
}

// Timers fire when they are due, or up to two ticks later, for all delays and numbers
// of timers.
func TestWheelFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tick = 10 * time.Millisecond
		w, begun := New(tick), time.Now()
		timers := make([]timer, 1000)
		delays := make([]time.Duration, len(timers))
		for i := range timers {
			delays[i] = rand.N(3 * slots * tick)
			w.After(delays[i], &timers[i])
		}
		time.Sleep(4 * slots * tick)
		synctest.Wait()
		for i := range timers {
			if n := len(timers[i].fired); n != 1 {
				t.Fatalf("a timer of %v fired %d times", delays[i], n)
			}
			if late := timers[i].fired[0].Sub(begun) - delays[i]; late < 0 || late > 2*tick {
				t.Errorf("a timer of %v fired %v late", delays[i], late)
			}
		}
		if w.running {
			t.Error("the wheel runs without a timer")
		}
	})
}

// A Timer may be set again in Fire, and the wheel keeps running.
func TestWheelAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(time.Second)
		var again timer
		again.fire = func() { w.After(10*time.Second, &again) }
		w.After(10*time.Second, &again)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(again.fired); n < 3600/12 || n > 360 {
			t.Errorf("fired %d times in an hour", n)
		}
		w.Stop(&again)
		n := len(again.fired)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(again.fired) != n {
			t.Error("it fired although it was stopped")
		}
	})
}

// A wheel ends when its last Timer is stopped, and may be used again, also within the same tick.
func TestWheelStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(time.Second)
		var a, b, c timer
		w.After(time.Hour, &a)
		w.After(time.Minute, &b)
		w.Stop(&a)
		w.Stop(&a)
		time.Sleep(time.Second / 2)
		w.Stop(&b)
		if w.running || w.timers != 0 || w.stopped != 0 {
			t.Errorf("running %v with %d timers, %d of them stopped", w.running, w.timers, w.stopped)
		}
		w.After(time.Minute, &a) // does nothing, because a was stopped
		w.After(time.Minute, &c)
		begun := time.Now()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(a.fired)+len(b.fired) != 0 || len(c.fired) != 1 {
			t.Errorf("fired %v %v %v", a.fired, b.fired, c.fired)
		}
		if took := c.fired[0].Sub(begun); took < time.Minute || took > time.Minute+2*time.Second {
			t.Errorf("fired after %v, want a minute", took)
		}
	})
}

// To stop one timer does not affect another, whether the stopped timer is pending, has
// fired, or was never set.
func TestWheelStopsOneOfTwo(t *testing.T) {
	for name, stop := range map[string]func(w *Wheel, stopped *timer){
		"pending": func(w *Wheel, stopped *timer) {
			w.After(10*time.Second, stopped)
			w.Stop(stopped)
		},
		"pending, twice": func(w *Wheel, stopped *timer) {
			w.After(10*time.Second, stopped)
			w.Stop(stopped)
			w.Stop(stopped)
		},
		"after it has fired": func(w *Wheel, stopped *timer) {
			w.After(time.Second, stopped)
			time.Sleep(5 * time.Second)
			w.Stop(stopped)
		},
		"never set": func(w *Wheel, stopped *timer) { w.Stop(stopped) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := New(time.Second)
				var stopped, other timer
				w.After(time.Minute, &other)
				stop(w, &stopped)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if n := len(other.fired); n != 1 {
					t.Errorf("the other timer fired %d times, want once", n)
				}
			})
		})
	}
}

// A test on the clock of synctest may end although a Timer is pending.
func TestWheelInBubble(t *testing.T) {
	w := New(time.Second)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			var fires, pending timer
			w.After(time.Minute, &fires)
			time.Sleep(90 * time.Second)
			synctest.Wait()
			if len(fires.fired) != 1 {
				t.Errorf("fired %d times", len(fires.fired))
			}
			w.After(time.Minute, &pending)
			w.Stop(&pending)
		})
	}
	synctest.Test(t, func(*testing.T) { New(time.Second).After(time.Minute, new(timer)) })
}

// The Wheels of a Set have a tick that suits their timers, and slow timers share one.
func TestSet(t *testing.T) {
	var s Set
	for _, tt := range []struct{ shortest, tick time.Duration }{
		{0, time.Millisecond},
		{time.Millisecond, time.Millisecond},
		{time.Second, 50 * time.Millisecond},
		{5 * time.Second, maxTick},
		{time.Hour, maxTick},
	} {
		w := s.For(tt.shortest)
		if w.tick != tt.tick {
			t.Errorf("timers of at least %v: a tick of %v, want %v", tt.shortest, w.tick, tt.tick)
		}
		if s.For(tt.shortest) != w {
			t.Errorf("timers of at least %v: two Wheels", tt.shortest)
		}
	}
	if s.For(5*time.Second) != s.For(time.Hour) {
		t.Error("slow timers do not share a Wheel")
	}
}
