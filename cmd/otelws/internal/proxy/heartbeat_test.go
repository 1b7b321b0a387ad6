package proxy_test

import (
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
)

// patient is a heartbeat with timeouts so long that a busy machine does not fail it.
func patient(opts ...otelws.HeartbeatOption) otelws.Option {
	return otelws.WithHeartbeat(append(opts, otelws.Every(50*time.Millisecond), otelws.Misses(1<<15))...)
}

// answerPings reads until the end. It answers pings, and returns the other frames.
func (w *wire) answerPings(other chan<- string) {
	defer close(other)
	for {
		first, payload, err := w.read()
		switch {
		case err != nil:
			return
		case first == fin|opPing:
			if _, err := w.Write(frame(fin|opPong, payload)); err != nil {
				return
			}
		default:
			other <- describe(first, payload)
		}
	}
}

// With every kind of backend there are RTTs on the chosen sides, and the pongs that
// answer the proxy's pings are not forwarded.
func TestHeartbeat(t *testing.T) {
	for _, server := range quietServers {
		t.Run(server.name, func(t *testing.T) {
			q := server.start(t)
			g := startProxy(t, proxy.Config{Backend: q.url}, patient(otelws.AcceptedOnly()), patient(otelws.DialedOnly()))
			w := openWire(t, g.address, "/")
			heard := make(chan string, 16)
			go w.answerPings(heard)
			for _, side := range []string{"ws_", "ws_client_"} {
				eventually(t, side+"heartbeat_rtt_seconds", func() bool { return g.sum(side+"heartbeat_rtt_seconds_count") >= 3 })
			}
			// The client's unsolicited pong is forwarded. It arrives after the others
			// would have.
			w.send(t, frame(fin|opPong, "mine"))
			w.send(t, frame(fin|opText, "hello"))
			if got, want := <-heard, describe(fin|opText, []byte("hello")); got != want {
				t.Errorf("the client hears %s, want %s", got, want)
			}
			eventually(t, "the client's pong", func() bool { return q.count("pong") > 0 })
			w.send(t, frame(fin|opClose, closing(1000, "")))
			if got, want := <-heard, describe(fin|opClose, closing(1000, "")); got != want {
				t.Errorf("the client hears %s, want %s", got, want)
			}
			w.Close()
			g.idle(t)
			eventually(t, "the backend to end", func() bool { return q.count("close 1000") == 1 })
			if n := q.count("pong"); n != 1 {
				t.Errorf("the backend sees %d pongs, want the client's own", n)
			}
		})
	}
}

// A heartbeat on one side does not affect the other side.
func TestHeartbeatOfOneSide(t *testing.T) {
	for _, tt := range []struct {
		only          otelws.HeartbeatOption
		with, without string
	}{
		{otelws.AcceptedOnly(), "ws_", "ws_client_"},
		{otelws.DialedOnly(), "ws_client_", "ws_"},
	} {
		q := startQuietGo(t)
		g := startProxy(t, proxy.Config{Backend: q.url}, patient(tt.only))
		go openWire(t, g.address, "/").answerPings(make(chan string, 16))
		eventually(t, tt.with+"heartbeat_rtt_seconds", func() bool { return g.sum(tt.with+"heartbeat_rtt_seconds_count") >= 3 })
		if n := g.sum(tt.without + "heartbeat_rtt_seconds_count"); n != 0 {
			t.Errorf("%s has %v heartbeats beside those of %s", tt.without, n, tt.with)
		}
		g.stop()
	}
}

// The heartbeat ends a client that does not answer, and the connection to its
// backend.
func TestHeartbeatEndsDeadClient(t *testing.T) {
	for _, server := range quietServers {
		t.Run(server.name, func(t *testing.T) {
			q := server.start(t)
			g := startProxy(t, proxy.Config{Backend: q.url},
				otelws.WithHeartbeat(otelws.Every(50*time.Millisecond), otelws.AcceptedOnly()))
			openWire(t, g.address, "/")
			g.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="timeout"}`, 1)
			g.idle(t)
			eventually(t, "the backend to learn of it", func() bool { return q.count("close 1006") == 1 })
		})
	}
}
