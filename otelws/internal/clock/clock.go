// Package clock reads the monotonic clock cheaply.
package clock

import "time"

// epoch is the zero of all instants: a difference of two monotonic readings
// costs half of what time.Now does.
var epoch = time.Now()

// Instant is a time since the process began. Instants are subtracted from one
// another to get a duration.
type Instant = time.Duration

// Now returns the present instant.
func Now() Instant { return time.Since(epoch) }

// Time returns the time of day of an instant.
func Time(i Instant) time.Time { return epoch.Add(i) }
