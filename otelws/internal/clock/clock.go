// Package clock reads the monotonic clock cheaply.
package clock

import "time"

// epoch is the zero of all instants. The difference of two monotonic readings costs half of
// time.Now. The clock of testing/synctest starts in 2000. Its instants must be positive, too.
var epoch = time.Now().Add(-60 * 365 * 24 * time.Hour)

// Instant is a time since a moment in the past. It is positive. The difference of two Instants is a
// duration.
type Instant = time.Duration

// Now returns the current instant.
func Now() Instant { return time.Since(epoch) }

// Time converts an instant to wall-clock time.
func Time(i Instant) time.Time { return epoch.Add(i) }
