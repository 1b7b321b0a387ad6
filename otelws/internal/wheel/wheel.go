// Package wheel calls many functions later, with little memory for each and one
// goroutine for all.
package wheel

import (
	"sync"
	"time"
)

// Timer is what a [Wheel] calls. Fire must return at once.
type Timer interface{ Fire() }

const slots = 256

// Wheel is a timer wheel. A Timer fires when it is due or up to two ticks later. A
// Wheel has a goroutine as long as it has a Timer. It is safe for concurrent use.
type Wheel struct {
	tick time.Duration

	mu      sync.Mutex
	slots   [slots][]entry
	at      int // the slot of the last tick
	timers  int
	running bool
}

type entry struct {
	timer  Timer
	rounds uint32 // of the wheel that are still to come
}

// New returns a Wheel with the given tick, a positive duration.
func New(tick time.Duration) *Wheel { return &Wheel{tick: tick} }

// After has t fire once, in d.
func (w *Wheel) After(d time.Duration, t Timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ticks := max(int((d+w.tick-1)/w.tick), 0) + 1 // a part of a tick has passed
	slot := &w.slots[(w.at+ticks)%slots]
	*slot = append(*slot, entry{t, uint32((ticks - 1) / slots)})
	w.timers++
	if !w.running {
		w.running = true
		go w.run()
	}
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
		if w.stop() {
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
	for _, e := range slot {
		if e.rounds == 0 {
			due = append(due, e.timer)
			continue
		}
		e.rounds--
		left = append(left, e)
	}
	clear(slot[len(left):])
	w.slots[w.at] = left
	w.timers -= len(due)
	return due
}

// stop says whether there is no Timer, and run is to end.
func (w *Wheel) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = w.timers > 0
	return !w.running
}
