package wheel

import (
	"sync"
	"time"
)

// Set is a set of Wheels with different ticks. Its zero value is empty. It is safe for concurrent
// use.
type Set struct {
	mu  sync.Mutex
	all map[time.Duration]*Wheel
}

// maxTick limits the tick, so that slow timers share one Wheel.
const maxTick = 250 * time.Millisecond

// For returns the Wheel for timers whose delays are at least shortest. Its tick is a twentieth of
// that, from 1 ms to 250 ms.
func (s *Set) For(shortest time.Duration) *Wheel {
	tick := min(max(shortest/20, time.Millisecond).Round(time.Millisecond), maxTick)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.all[tick]
	if w == nil {
		if s.all == nil {
			s.all = make(map[time.Duration]*Wheel)
		}
		w = New(tick)
		s.all[tick] = w
	}
	return w
}
