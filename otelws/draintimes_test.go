package otelws_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// These tests of Drain depend on times, like those of times_test.go.

// dialInMemory dials a connection that ws watches, and returns its other end.
func dialInMemory(t *testing.T, ws *otelws.Instrumentation) (backend *wire) {
	t.Helper()
	near, far := net.Pipe()
	dialed := ws.Conn(near)
	go func() {
		_, _ = dialed.Write(handshakeRequest())
		_, _ = io.Copy(io.Discard, dialed)
		_ = dialed.Close()
	}()
	backend = &wire{Conn: far, t: t, br: bufio.NewReader(far)}
	backend.head()
	backend.send([]byte(switchingHead))
	return backend
}

// By default, the oldest connection gets its close frame first.
func TestDrainOrder(t *testing.T) {
	const n = 20
	for name, opts := range map[string][]otelws.DrainOption{"oldest first": nil, "random": {otelws.DrainRandom()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws, _ := newInstrumentation(t)
				all := openInMemory(t, ws, n)
				ctx, cancel := context.WithCancel(t.Context())
				drained := make(chan error, 1)
				go func() { drained <- ws.Drain(ctx, append(opts, otelws.DrainSpread(n*time.Second))...) }()
				var told []uint64
				for range n {
					time.Sleep(time.Second)
					synctest.Wait()
					for _, c := range connections(ws) {
						if c.State == otelws.StateCloseSent && !slices.Contains(told, c.ID) {
							told = append(told, c.ID)
						}
					}
				}
				cancel()
				<-drained
				runtime.KeepAlive(all)
				if len(told) != n || slices.IsSorted(told) != (opts == nil) {
					t.Errorf("the connections got their close frames in the order %v", told)
				}
			})
		})
	}
}

// A connection that opens during a drain gets a close frame at once, or after a second
// if it is dialed.
func TestDrainOfLateConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, m := newInstrumentation(t)
		if err := ws.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		accepted := openInMemory(t, ws, 1)
		synctest.Wait()
		if late := connections(ws); len(late) != 1 || late[0].State != otelws.StateCloseSent {
			t.Errorf("the accepted connection is %+v", late)
		}
		runtime.KeepAlive(accepted)
		backend, begun := dialInMemory(t, ws), time.Now()
		frame := make([]byte, 2+4+2+len("going away"))
		backend.full(frame)
		if took := time.Since(begun); took < time.Second || took > time.Second+100*time.Millisecond {
			t.Errorf("the dialed connection got its close frame after %v", took)
		}
		if key := [4]byte(frame[2:]); key == [4]byte{} || frame[0] != fin|opClose {
			t.Errorf("the frame %x is no close frame, or its mask is not random", frame)
		}
		_ = backend.Close()
		time.Sleep(10 * time.Second) // until the other connection is cut
		m.Wait(t, "ws_connections_active", 0)
		m.Wait(t, "ws_client_connections_active", 0)
	})
}

// OnDrainProgress's function is called for each change, and not while nothing changes.
func TestDrainProgress(t *testing.T) {
	for name, peer := range map[string]struct {
		answers bool
		last    otelws.DrainProgress
	}{
		"answers": {true, otelws.DrainProgress{Closed: 1}},
		"silent":  {false, otelws.DrainProgress{Cut: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var told []otelws.DrainProgress
			drain := func(ws *otelws.Instrumentation, r *http.Request, c *websocket.Conn) {
				drained := make(chan struct{})
				go func() {
					defer close(drained)
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					defer cancel()
					_ = ws.Drain(ctx, otelws.OnDrainProgress(func(p otelws.DrainProgress) { told = append(told, p) }))
				}()
				readAll(r.Context(), c)
				<-drained
			}
			inTime(t, drain, func(_ *testing.T, _ *otelwstest.Metrics, client *wire) {
				client.next()
				time.Sleep(time.Second)
				if peer.answers {
					client.send(masked(fin|opClose, closePayload(1001, "")))
				}
				client.rest()
			})
			if want := []otelws.DrainProgress{{Open: 1}, peer.last}; !slices.Equal(told, want) {
				t.Errorf("the progress is %+v, want %+v", told, want)
			}
		})
	}
}

// A function of OnDrainProgress that blocks or panics, as with a full log pipe, costs the drain neither
// its close frames nor its deadline.
func TestDrainProgressBlocks(t *testing.T) {
	for name, f := range map[string]func(release chan struct{}){
		"blocks": func(release chan struct{}) { <-release },
		"panics": func(chan struct{}) { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			drain := func(ws *otelws.Instrumentation, r *http.Request, c *websocket.Conn) {
				release, drained := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(drained)
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					defer cancel()
					begun := time.Now()
					err := ws.Drain(ctx, otelws.OnDrainProgress(func(otelws.DrainProgress) { f(release) }))
					if took := time.Since(begun); err == nil || took > 6*time.Second {
						t.Errorf("Drain returned %v after %v, want an error after 5 s", err, took)
					}
				}()
				readAll(r.Context(), c)
				<-drained
				close(release)
			}
			inTime(t, drain, func(t *testing.T, _ *otelwstest.Metrics, client *wire) {
				client.answer(fin|opClose, string(closePayload(1001, "going away")))
				client.rest()
			})
		})
	}
}

// While an accepted connection may still need its dialed connection, Drain does not
// close the dialed one.
func TestDrainKeepsDialedForAccepted(t *testing.T) {
	var answered, heard time.Time
	proxy := func(ws *otelws.Instrumentation, r *http.Request, c *websocket.Conn) {
		backend := dialInMemory(t, ws)
		eventually(t, "the dialed connection has opened, too", func() bool { return len(connections(ws)) == 2 })
		drained, left := make(chan error, 1), make(chan struct{})
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			drained <- ws.Drain(ctx)
		}()
		go func() {
			defer close(left)
			_, _ = backend.br.ReadByte()
			heard = time.Now()
			_ = backend.Close()
		}()
		readAll(r.Context(), c)
		<-left
		if err := <-drained; err != nil {
			t.Error(err)
		}
	}
	inTime(t, proxy, func(_ *testing.T, _ *otelwstest.Metrics, client *wire) {
		client.next()
		time.Sleep(5 * time.Second)
		answered = time.Now()
		client.send(masked(fin|opClose, closePayload(1001, "")))
		client.rest()
	})
	if heard.Before(answered) || heard.After(answered.Add(time.Second)) {
		t.Errorf("the backend got its close frame %v after the client's answer", heard.Sub(answered))
	}
}
