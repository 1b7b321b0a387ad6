package main

import (
	"testing"

	"github.com/otelws/otelws-go/examples/frameworks/internal/drill"
)

func TestServe(t *testing.T) { drill.Closed(t, drill.Server(t, "/", serve), "ws", "") }
