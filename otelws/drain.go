package otelws

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Drain closes the connections known from Accept, Dial and Heartbeat, each by a
// close handshake with the code 1001, going away. Those that have not ended
// when ctx is done have their transport closed. It returns once all have
// ended: nil, or an error that says how many had to be cut off.
//
// It does not know of a connection that a library opened by itself behind a
// Handler or a Transport, unless that has a heartbeat: those stay open, and are
// not in the error.
//
// It is for the shutdown of a service, after [net/http.Server.Shutdown], which
// stops the listener and does nothing for WebSocket connections. It is final:
// a connection that becomes known later is closed at once, with the same code.
// Drain may be called again, and waits for those as well.
func (i *Instrumentation) Drain(ctx context.Context) error {
	accepted := i.drain.begin()
	var closing sync.WaitGroup
	open := make(map[*conn]struct{})
	closeKnown := func() {
		i.conns.Range(func(ws, c any) bool {
			if _, ok := open[c.(*conn)]; !ok {
				open[c.(*conn)] = struct{}{}
				closing.Go(func() {
					goAway(ws.(*websocket.Conn))
					i.awaitEnd(ws)
				})
			}
			return true
		})
	}
	closeKnown()
	select {
	case <-accepted:
	case <-ctx.Done():
	}
	closeKnown()
	all := make(chan struct{})
	go func() {
		closing.Wait()
		close(all)
	}()

	cut := 0
	var cutting sync.WaitGroup
	select {
	case <-all:
	case <-ctx.Done():
		for c := range open {
			if c.state.Load() == live {
				cut++
				cutting.Go(func() { _ = c.Close() })
			}
		}
		cutting.Wait()
		<-all
	}
	if cut > 0 {
		return fmt.Errorf("otelws: %d of %d connections did not close in time: %w", cut, len(open), context.Cause(ctx))
	}
	return nil
}

// awaitEnd returns once the connection of ws has ended, is counted, and all have
// been told. Close does not wait for that where the application is closing it as
// well.
func (i *Instrumentation) awaitEnd(ws any) {
	for known := true; known; _, known = i.conns.Load(ws) {
		time.Sleep(time.Millisecond)
	}
}

func goAway(ws *websocket.Conn) { _ = ws.Close(websocket.StatusGoingAway, "going away") }

// drain counts the calls of Accept in progress, whose connections are not known
// although their clients have the response.
type drain struct {
	mu        sync.Mutex
	accepting int
	begun     bool
	idle      []chan struct{} // closed when accepting is 0
}

// begin begins the drain, and returns a channel that is closed when the calls
// in progress have returned.
func (d *drain) begin() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun = true
	idle := make(chan struct{})
	d.idle = append(d.idle, idle)
	d.settle()
	return idle
}

func (d *drain) hasBegun() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun
}

func (d *drain) enter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accepting++
}

func (d *drain) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accepting--
	d.settle()
}

func (d *drain) settle() {
	if d.accepting > 0 {
		return
	}
	for _, idle := range d.idle {
		close(idle)
	}
	d.idle = nil
}
