package frameworks

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// peers are the kinds of peers that a heartbeat meets. A peer returns when the server
// has gone or stop is closed.
var peers = []struct {
	name  string
	dead  bool
	quiet bool // the server sends no messages
	act   func(c *strict, stop <-chan struct{})
}{
	{"silent", true, false, func(_ *strict, stop <-chan struct{}) { <-stop }},
	{"silent, on a quiet connection", true, true, func(_ *strict, stop <-chan struct{}) { <-stop }},
	{"reads, and answers no ping of a quiet connection", true, true, func(c *strict, stop <-chan struct{}) {
		readBy(c, stop, 1<<20, 0)
	}},
	{"reads for a while, and then no more", true, false, func(c *strict, stop <-chan struct{}) {
		_, _ = io.ReadFull(c.br, make([]byte, 3<<20))
		<-stop
	}},
	{"answers pings and sends nothing else", false, false, func(c *strict, stop <-chan struct{}) { answerPings(c, stop, 1) }},
	{"answers pings of a quiet connection", false, true, func(c *strict, stop <-chan struct{}) { answerPings(c, stop, 1) }},
	{"answers every third ping of a quiet connection", false, true, func(c *strict, stop <-chan struct{}) { answerPings(c, stop, 3) }},
	{"slow", false, false, func(c *strict, stop <-chan struct{}) { readBy(c, stop, 64<<10, 20*time.Millisecond) }},
	{"slow in tiny pieces", false, false, func(c *strict, stop <-chan struct{}) { readBy(c, stop, 2000, time.Millisecond) }},
	{"slow by fits and starts", false, false, func(c *strict, stop <-chan struct{}) { readBy(c, stop, 2<<20, 300*time.Millisecond) }},
	{"sends and does not read", false, false, func(c *strict, stop <-chan struct{}) {
		for c.send(gobwas.OpBinary, small) == nil {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-stop:
				return
			}
		}
	}},
}

// readBy reads n bytes at a time, with pauses between.
func readBy(c *strict, stop <-chan struct{}, n int, pause time.Duration) {
	b := make([]byte, n)
	for {
		select {
		case <-time.After(pause):
		case <-stop:
			return
		}
		if _, err := io.ReadFull(c.br, b); err != nil {
			return
		}
	}
}

// answerPings reads frames, and answers every nth ping.
func answerPings(c *strict, stop <-chan struct{}, nth int) {
	go func() {
		<-stop
		_ = c.Close()
	}()
	for n := 1; ; {
		f, err := readFrame(c.br)
		if err != nil {
			return
		}
		if f.Header.OpCode != gobwas.OpPing {
			continue
		}
		if n++; n%nth == 0 && c.send(gobwas.OpPong, f.Payload) != nil {
			return
		}
	}
}

// The heartbeat of a gorilla server ends dead peers. It does not end slow or unusual
// peers: they live at least twice as long as a dead peer.
func TestHeartbeatTellsDeadFromSlow(t *testing.T) {
	quiet := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _, _ = c.ReadMessage()
	})
	const ended = `ws_connection_duration_seconds_count{code="1006",initiator="timeout"}`
	for _, road := range []string{"direct", "TLS"} {
		for _, isQuiet := range []bool{true, false} {
			t.Run(fmt.Sprint(road, ", quiet ", isQuiet), func(t *testing.T) {
				t.Parallel()
				m := otelwstest.NewMetrics(t)
				ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()),
					otelws.WithHeartbeat(otelws.Every(300*time.Millisecond), otelws.Misses(5)))
				if err != nil {
					t.Fatal(err)
				}
				h := streams["gorilla"](new(seen))
				if isQuiet {
					h = quiet
				}
				server := roads[road](t, ws, h)
				defer server.Close()
				stop := make(chan struct{})
				var all sync.WaitGroup
				dead, living := 0, 0
				for _, p := range peers {
					if p.quiet != isQuiet {
						continue
					}
					c := dialStrict(t, server, time.Minute)
					if p.dead {
						dead++
					} else {
						living++
					}
					all.Go(func() {
						p.act(c, stop)
						select {
						case <-stop:
						default:
							if !p.dead {
								t.Errorf("%s: ended", p.name)
							}
						}
						_ = c.Close()
					})
				}
				m.Wait(t, ended, float64(dead))
				_ = dialStrict(t, server, time.Minute) // silent
				m.Wait(t, ended, float64(dead+1))
				if n, _ := m.Value("ws_connections_active"); n != float64(living) {
					t.Errorf("%v connections are open, want %d", n, living)
				}
				close(stop)
				all.Wait()
				m.Wait(t, "ws_connections_active", 0)
			})
		}
	}
}
