package otelwstest

import (
	"testing"
	"time"
)

// ShortenWaits limits all waits until the end of a test.
func ShortenWaits(t *testing.T, limit time.Duration) {
	before := waiting
	waiting = limit
	t.Cleanup(func() { waiting = before })
}
