//go:build unix

package main

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/examples/stack/internal/stack"
)

// If the stack cannot start, run returns the reason, not an interruption.
func TestPortInUse(t *testing.T) {
	if l, err := net.Listen("tcp", stack.Default().Prometheus); err == nil {
		defer l.Close()
	} // otherwise another process holds it
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := run(ctx, cancel, options{dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "-free") {
		t.Errorf("the stack ended with %v", err)
	}
}
