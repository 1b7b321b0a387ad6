package otelwstest

import (
	"testing"
	"time"
)

// ShortenWaits sets the time limit of waits for the rest of a test.
func ShortenWaits(t *testing.T, limit time.Duration) {
	before := waiting
	waiting = limit
	t.Cleanup(func() { waiting = before })
}
