//go:build unix

package main

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A heartbeat applies to one side only.
func TestProxyHeartbeat(t *testing.T) {
	backend := startEcho(t)
	for _, tt := range []struct{ flag, with, without string }{
		{"--heartbeat", "ws_heartbeat_rtt_seconds_count", "ws_client_heartbeat_rtt_seconds_count"},
		{"--backend.heartbeat", "ws_client_heartbeat_rtt_seconds_count", "ws_heartbeat_rtt_seconds_count"},
	} {
		r := startProxy(t, "--backend", backend.URL, tt.flag, "200ms")
		r.dial(t, "/").CloseRead(testContext(t))
		for end := time.Now().Add(waitLimit); r.scrape(t)[tt.with] < 2; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s does not grow", tt.flag, tt.with)
			}
		}
		if n := r.scrape(t)[tt.without]; n != 0 {
			t.Errorf("%s: %s is %v", tt.flag, tt.without, n)
		}
	}
}

// After a signal, the proxy sends close frames to 500 clients, spread over time.
func TestProxySignalTellsAll(t *testing.T) {
	const clients = 500
	const spread = 2 * time.Second
	backend := startEcho(t)
	c := startProcess(t, readProxyPlaces, "proxy", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--backend", backend.URL,
		"--drain.spread", spread.String())
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		last time.Time
		told int
	)
	for range clients {
		conn := c.dial(t, "/")
		all.Go(func() {
			_, _, err := conn.Read(testContext(t))
			if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
				t.Errorf("a client hears %v, want close code 1012", err)
			}
			mu.Lock()
			defer mu.Unlock()
			last, told = time.Now(), told+1
		})
	}
	c.waitForValue(t, "ws_connections_active", clients)
	signalled := time.Now()
	check(t, c.cmd.Process.Signal(syscall.SIGTERM))
	for drained := 0.0; drained < clients/2; {
		samples := c.scrape(t)
		drained = samples[`ws_drain_connections_total{outcome="closed"}`]
		for _, side := range []string{"ws_", "ws_client_"} {
			opened, open := samples[side+"connections_opened_total"], samples[side+"connections_active"]
			if closed := samples[side+`connections_closed_total{code="1012"}`]; opened != clients || open+closed != opened {
				t.Fatalf("%s: %v connections opened, %v active, %v closed by 1012", side, opened, open, closed)
			}
		}
	}
	all.Wait()
	if err := c.wait(t); err != nil {
		t.Errorf("%v\n%s", err, c.log)
	}
	if least := spread * (clients - 1) / clients; told != clients || last.Sub(signalled) < least {
		t.Errorf("%d clients were told, the last after %v; want all, over %v", told, last.Sub(signalled), spread)
	}
	if c.log.Len() == 0 {
		t.Error("the log is empty, where it is to say that a drain began")
	}
}
