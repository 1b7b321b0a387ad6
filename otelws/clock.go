package otelws

import "time"

// epoch is what instants are measured from: a difference of two monotonic
// readings costs half of what time.Now does.
var epoch = time.Now()

// instant is a time since epoch.
type instant = time.Duration

func now() instant { return time.Since(epoch) }
