// Package clock reads the monotonic clock cheaply.
package clock

import "time"

// epoch is the zero of all instants. The difference of two monotonic readings costs half of
// time.Now.
var epoch = time.Now()

// Instant is a time since the start of the process. The difference of two Instants is a duration.
type Instant = time.Duration

// Now returns the current instant.
func Now() Instant { return time.Since(epoch) }

// Time converts an instant to wall-clock time.
func Time(i Instant) time.Time { return epoch.Add(i) }
