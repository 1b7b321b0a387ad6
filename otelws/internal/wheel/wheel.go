// Package wheel calls many functions later, with little memory for each and one
// goroutine for all.
package wheel

import (
	"sync"
	"time"
)

// Timer is what a [Wheel] calls: a pointer to a struct with an Entry.
type Timer interface {
	// Fire is called when the Timer is due. It must return at once.
	Fire()
	TimerEntry() *Entry
}

// Entry is the part of a Timer that the Wheel needs, under its lock.
type Entry struct{ pending, stopped bool }

// TimerEntry returns e. It serves structs that embed an Entry.
func (e *Entry) TimerEntry() *Entry { return e }

const slots = 256

// Wheel is a timer wheel. A Timer fires when it is due or up to two ticks later. A
// Wheel has a goroutine as long as it has a Timer. It is safe for concurrent use.
type Wheel struct {
	tick time.Duration

	mu      sync.Mutex
	slots   [slots][]slotted
	at      int // the slot of the last tick
	timers  int // in slots
	stopped int // of these
	running bool
}

type slotted struct {
	timer  Timer
	rounds uint32 // of the wheel that are still to come
}

// New returns a Wheel with the given tick, a positive duration.
func New(tick time.Duration) *Wheel { return &Wheel{tick: tick} }

// After has t fire once, in d, unless it is stopped. t must not be pending.
func (w *Wheel) After(d time.Duration, t Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := t.TimerEntry()
	if e.stopped {
		return
	}
	e.pending = true
	ticks := max(int((d+w.tick-1)/w.tick), 0) + 1 // a part of a tick has passed
	slot := &w.slots[(w.at+ticks)%slots]
	*slot = append(*slot, slotted{t, uint32((ticks - 1) / slots)})
	w.timers++
	if !w.running {
		w.running = true
		go w.run()
	}
}

// Stop has t never fire again.
func (w *Wheel) Stop(t Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := t.TimerEntry()
	if e.pending && !e.stopped {
		w.stopped++
	}
	e.stopped = true
}

// run ticks as long as there is a Timer.
func (w *Wheel) run() {
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	var due []Timer
	last := time.Now()
	for at := range ticker.C {
		// A Ticker drops ticks for a slow receiver. They are made up for.
		for ; at.Sub(last) >= w.tick/2; last = last.Add(w.tick) {
			due = w.advance(due[:0])
			for _, t := range due {
				t.Fire()
			}
			clear(due)
		}
		if w.done() {
			return
		}
	}
}

// advance brings the wheel on by one tick, and appends the Timers that are due.
func (w *Wheel) advance(due []Timer) []Timer {
	w.mu.Lock()
	defer w.mu.Unlock()
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
		left = nil // else every slot keeps room for the most that it ever had
	}
	w.slots[w.at] = left
	return due
}

// done says whether no Timer is left that may fire, and run is to end.
func (w *Wheel) done() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timers > w.stopped {
		return false
	}
	w.slots = [slots][]slotted{}
	w.timers, w.stopped, w.running = 0, 0, false
	return true
}
