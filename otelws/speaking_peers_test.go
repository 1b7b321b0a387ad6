package otelws_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// These peers in other languages talk to a tap that sends pings and close frames. Each
// peer sends one ping of its own. It must see only the pong that answers it.

var speakingPeers = []struct {
	name    string
	command func(t *testing.T, args ...string) *exec.Cmd
}{
	{"Node", func(t *testing.T, args ...string) *exec.Cmd { return nodeCommand(t, nodePeer, args...) }},
	{"Python", func(t *testing.T, args ...string) *exec.Cmd { return pythonCommand(t, pythonPeer, args...) }},
}

// speakingPeer is the process of a peer. The peer reports when it has received a
// message, two pings, and the pong to its own ping. At the end it reports everything
// that it has seen.
type speakingPeer struct {
	t     *testing.T
	lines *bufio.Scanner
}

func startSpeakingPeer(t *testing.T, cmd *exec.Cmd) *speakingPeer {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(waitLimit, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		stuck.Stop()
		if t.Failed() {
			t.Logf("the peer wrote: %s", stderr.String())
		}
	})
	return &speakingPeer{t, bufio.NewScanner(out)}
}

func (p *speakingPeer) line() string {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatal("the peer has exited: ", p.lines.Err())
	}
	return p.lines.Text()
}

func (p *speakingPeer) waitUntilReady() {
	p.t.Helper()
	if got := p.line(); got != "ready" {
		p.t.Fatal("the peer is not ready: ", got)
	}
}

// expectGoodbye checks the peer's last report: close code 1001, no unasked pong and no
// error.
func (p *speakingPeer) expectGoodbye() {
	p.t.Helper()
	var seen struct {
		Unasked, Code int
		Error         string
	}
	last := p.line()
	if err := json.Unmarshal([]byte(last), &seen); err != nil {
		p.t.Fatalf("the peer reported %q: %v", last, err)
	}
	if seen.Unasked != 0 || seen.Code != 1001 || seen.Error != "" {
		p.t.Errorf("the peer reported %s, want code 1001, no unasked pong and no error", last)
	}
}

func TestSpeakingToClients(t *testing.T) {
	for _, peer := range speakingPeers {
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t, otelws.WithHeartbeat(steadyPatient...))
			s := startServer(t, ws, coderEcho(nil))
			client := startSpeakingPeer(t, peer.command(t, s.ws()))
			client.waitUntilReady()
			atLeast(t, m, rtt, 2)
			drainAll(t, ws)
			client.expectGoodbye()
			expectCleanEnd(t, m, "ws")
		})
	}
}

// Under a proxy with a tap on each side, each tap sends and receives its own pings.
func TestSpeakingInProxy(t *testing.T) {
	for _, peer := range speakingPeers {
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			server := startSpeakingPeer(t, peer.command(t))
			ws, m := newInstrumentation(t, otelws.WithHeartbeat(steadyPatient...))
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:" + server.line()})
			proxy.Transport = ws.Transport(new(http.Transport))
			s := startServer(t, ws, proxy)
			client := startSpeakingPeer(t, peer.command(t, s.ws()))
			client.waitUntilReady()
			server.waitUntilReady()
			atLeast(t, m, rtt, 2)
			atLeast(t, m, clientRTT, 2)
			drainAll(t, ws)
			client.expectGoodbye()
			server.expectGoodbye()
			expectCleanEnd(t, m, "ws")
			// The client's close frame ends the backend's connection. Drain does not.
			m.Wait(t, `ws_client_connections_closed_total{code="1001"}`, 1)
		})
	}
}

// steadyPatient is a heartbeat that pings often and ends no peer.
var steadyPatient = []otelws.HeartbeatOption{otelws.Every(50 * time.Millisecond), otelws.Misses(1 << 15)}

func drainAll(t *testing.T, ws *otelws.Instrumentation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := ws.Drain(ctx); err != nil {
		t.Error(err)
	}
}

// expectCleanEnd checks that Drain has closed one connection.
func expectCleanEnd(t *testing.T, m *otelwstest.Metrics, side string) {
	t.Helper()
	m.Wait(t, side+`_connections_closed_total{code="1001"}`, 1)
	m.Wait(t, side+`_drain_connections_total{outcome="closed"}`, 1)
	if errors := protocolErrors(m.Changed()); errors != "" {
		t.Errorf("protocol errors were counted:\n%s", errors)
	}
}
