package main

import (
	"testing"

	"github.com/otelws/otelws-go/examples/frameworks/internal/drill"
)

func TestServe(t *testing.T) {
	m := drill.Server(t, "/echo?tier=pro", serve, tier)
	drill.Closed(t, m, "ws", `tier="pro"`)
}
