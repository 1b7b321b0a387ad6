// Package wheel implements a timer wheel for many timers. Each timer takes little memory, and all
// share one timer of the runtime.
package wheel

import (
	"sync"
	"time"
)

// Timer is a timer of a [Wheel]: a pointer to a struct that embeds an Entry.
type Timer interface {
	// Fire is called when the Timer is due. It must return at once.
	Fire()
	TimerEntry() *Entry
}

// Entry is embedded in a Timer, for use by the Wheel. The Wheel's lock guards it.
type Entry struct{ pending, stopped bool }

// TimerEntry returns e. It is promoted to structs that embed an Entry.
func (e *Entry) TimerEntry() *Entry { return e }

const slots = 256

// Wheel is a timer wheel. A Timer fires when it is due, or up to two ticks later. A Wheel turns only
// while it has Timers. It has no goroutine that waits, because in a bubble of [testing/synctest], that
// goroutine would outlive the test. It is safe for concurrent use.
type Wheel struct {
	tick time.Duration

	mu      sync.Mutex
	slots   [slots][]slotted
	at      int       // slot of the last tick
	last    time.Time // of the last tick
	timers  int       // number of timers in slots
	stopped int       // number of stopped timers among them
	running bool
	turn    int // number of times that the wheel has begun to turn
}

type slotted struct {
	timer  Timer
	rounds uint32 // remaining turns of the wheel
}

// New returns a Wheel with the given tick, which must be positive.
func New(tick time.Duration) *Wheel { return &Wheel{tick: tick} }

// After makes t fire once, after d, unless it is stopped. t must not be pending.
func (w *Wheel) After(d time.Duration, t Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := t.TimerEntry()
	if e.stopped {
		return
	}
	e.pending = true
	ticks := max(int((d+w.tick-1)/w.tick), 0) + 1 // a part of the current tick has already passed
	slot := &w.slots[(w.at+ticks)%slots]
	*slot = append(*slot, slotted{t, uint32((ticks - 1) / slots)})
	w.timers++
	if !w.running {
		w.running, w.last = true, time.Now()
		w.turn++
		w.wait()
	}
}

// Stop makes sure that t never fires again.
func (w *Wheel) Stop(t Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := t.TimerEntry()
	if e.pending && !e.stopped {
		w.stopped++
		w.endIfIdle()
	}
	e.stopped = true
}

// wait makes the wheel turn at the next tick. The caller holds the lock.
func (w *Wheel) wait() {
	turn := w.turn
	time.AfterFunc(w.tick-time.Since(w.last), func() { w.run(turn) })
}

// run fires the Timers that are due, and goes on as long as there are Timers.
func (w *Wheel) run(turn int) {
	due := w.due(turn)
	for _, t := range due {
		t.Fire()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if turn != w.turn || !w.running {
		return
	}
	if w.endIfIdle(); w.running {
		w.wait()
	}
}

// due makes up for all ticks that have passed, and returns the Timers that are due.
func (w *Wheel) due(turn int) (due []Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if turn != w.turn || !w.running {
		return nil
	}
	for now := time.Now(); now.Sub(w.last) >= w.tick/2; w.last = w.last.Add(w.tick) {
		due = w.advance(due)
	}
	return due
}

// advance advances the wheel by one tick, and appends the Timers that are due. The caller holds the
// lock.
func (w *Wheel) advance(due []Timer) []Timer {
	w.at = (w.at + 1) % slots
	slot := w.slots[w.at]
	left := slot[:0]
	for _, s := range slot {
		e := s.timer.TimerEntry()
		if !e.stopped && s.rounds > 0 {
			s.rounds--
			left = append(left, s)
			continue
		}
		w.timers--
		e.pending = false
		if e.stopped {
			w.stopped--
			continue
		}
		due = append(due, s.timer)
	}
	clear(slot[len(left):])
	if len(left) == 0 {
		left = nil // otherwise every slot would keep its largest capacity
	}
	w.slots[w.at] = left
	return due
}

// endIfIdle stops the wheel if no active Timer is left. The caller holds the lock.
func (w *Wheel) endIfIdle() {
	if w.timers > w.stopped {
		return
	}
	if w.timers > 0 {
		w.slots = [slots][]slotted{}
	}
	w.timers, w.stopped, w.running = 0, 0, false
}
