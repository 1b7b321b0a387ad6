package otelws_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// reconnected drains a server of n clients. Each client connects to another server at
// once. reconnected returns the times of those handshakes since the start of the drain.
func reconnected(t testing.TB, n int, opts ...otelws.DrainOption) []time.Duration {
	t.Helper()
	draining, _ := newInstrumentation(t, otelws.WithDrain(opts...))
	old, next := newMemoryListener(), newMemoryListener()
	serveOn(t, old, draining.Handler(coderEcho(nil)))
	var mu sync.Mutex
	var came []time.Time
	serveOn(t, next, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		mu.Lock()
		came = append(came, at)
		mu.Unlock()
		coderEcho(nil)(w, r)
	}))

	var connected, all sync.WaitGroup
	connected.Add(n)
	for range n {
		all.Go(func() {
			c := old.dial(t)
			if c != nil { // the echo shows that the handler runs
				_ = c.Write(t.Context(), websocket.MessageText, []byte("hello"))
				_, _, _ = c.Read(t.Context())
			}
			connected.Done()
			if c == nil {
				return
			}
			if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("the drained client got %v", err)
			}
			if c := next.dial(t); c != nil {
				_ = c.Close(websocket.StatusNormalClosure, "")
			}
		})
	}
	connected.Wait()
	begun := time.Now()
	if err := draining.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	all.Wait()
	since := make([]time.Duration, len(came))
	for i, at := range came {
		since[i] = at.Sub(begun)
	}
	slices.Sort(since)
	if len(since) != n {
		t.Fatalf("%d of %d clients came back", len(since), n)
	}
	return since
}

// peak returns how many of the times fall into one window at most.
func peak(times []time.Duration, window time.Duration) (most int) {
	first := 0
	for i, at := range times {
		for at-times[first] >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// No client comes back before its share of the time, however busy the machine is.
func TestDrainSpread(t *testing.T) {
	const clients, spread = 1000, time.Second
	for name, opts := range map[string][]otelws.DrainOption{
		"oldest first": {otelws.DrainSpread(spread)},
		"random":       {otelws.DrainSpread(spread), otelws.DrainRandom()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			since := reconnected(t, clients, opts...)
			for i, at := range since {
				if share := spread * time.Duration(i) / clients; at < share {
					t.Fatalf("client %d came back after %v, before %v", i, at, share)
				}
			}
			t.Logf("at most %d handshakes in a tenth of the time; an even spread has %d", peak(since, spread/10), clients/10)
		})
	}
}

// A spread longer than the time until the deadline cuts nobody.
func TestDrainSpreadWithinDeadline(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithDrain(otelws.DrainSpread(time.Hour)))
	for range 20 {
		_, client := connect(t, ws)
		client.CloseRead(context.Background())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := ws.Drain(ctx); err != nil {
		t.Error(err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 20)
}

// BenchmarkDrain measures how many handshakes a second the next server gets at most, if
// drained clients reconnect at once.
func BenchmarkDrain(b *testing.B) {
	const clients = 10_000
	for _, c := range []struct {
		name string
		opts []otelws.DrainOption
	}{{"AtOnce", nil}, {"Spread20s", []otelws.DrainOption{otelws.DrainSpread(20 * time.Second)}}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				since := reconnected(b, clients, c.opts...)
				b.ReportMetric(float64(peak(since, time.Second)), "peak-handshakes/s")
				b.ReportMetric(float64(peak(since, time.Second/10)), "peak-handshakes/100ms")
				b.ReportMetric(since[len(since)-1].Seconds(), "s")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// memoryListener accepts clients in memory, which need no descriptors.
type memoryListener struct {
	conns chan net.Conn
	over  chan struct{}
	close func()
}

func newMemoryListener() *memoryListener {
	over := make(chan struct{})
	return &memoryListener{make(chan net.Conn), over, sync.OnceFunc(func() { close(over) })}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.close()
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// dial returns a connection to l, or nil after it has failed the test.
func (l *memoryListener) dial(t testing.TB) *websocket.Conn {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case l.conns <- far:
			return near, nil
		case <-l.over:
			return nil, net.ErrClosed
		}
	}}
	c, _, err := websocket.Dial(t.Context(), "ws://memory", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Error(err)
		return nil
	}
	return c
}

// serveOn serves h on l until the end of the test.
func serveOn(t testing.TB, l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h}
	var all sync.WaitGroup
	all.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		all.Wait()
	})
}
