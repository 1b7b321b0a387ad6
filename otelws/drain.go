package otelws

import (
	"context"
	"fmt"
	"sync"

	"github.com/coder/websocket"
)

// Drain closes the connections known from Accept, Dial and Heartbeat, each by a
// close handshake with the code 1001, going away. Those that have not ended
// when ctx is done have their transport closed. It returns once all have
// ended: nil, or an error that says how many had to be cut off.
//
// It is for the shutdown of a service, after [net/http.Server.Shutdown], which
// stops the listener and does nothing for WebSocket connections. A connection
// opened meanwhile is not drained.
func (i *Instrumentation) Drain(ctx context.Context) error {
	var closing sync.WaitGroup
	var open []*conn
	i.conns.Range(func(ws, c any) bool {
		open = append(open, c.(*conn))
		closing.Go(func() { _ = ws.(*websocket.Conn).Close(websocket.StatusGoingAway, "going away") })
		return true
	})
	all := make(chan struct{})
	go func() {
		closing.Wait()
		close(all)
	}()

	cut := 0
	select {
	case <-all:
	case <-ctx.Done():
		for _, c := range open {
			if c.state.Load() == live {
				cut++
				_ = c.Close()
			}
		}
		<-all
	}
	if cut > 0 {
		return fmt.Errorf("otelws: %d of %d connections did not close in time: %w", cut, len(open), context.Cause(ctx))
	}
	return nil
}
