package load_test

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/load"
)

// A server that reads nothing, so that a write hangs, does not keep a run from
// ending.
func TestServerReadsNothing(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	c := config(t, serve(t, nil, func(context.Context, *websocket.Conn) { <-done }))
	c.Echo, c.Messages, c.Connections = false, 0, 2
	c.Duration, c.Timeout, c.VerifyTimeout = 100*time.Millisecond, 200*time.Millisecond, 10*time.Millisecond
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = load.Run(t.Context(), c, nil)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the run goes on")
	}
}
