package main

import (
	"testing"

	"github.com/otelws/otelws-go/examples/frameworks/internal/drill"
)

func TestRun(t *testing.T) { drill.Client(t, run) }
