package otelws_test

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// eventually waits until ok returns true, and fails the test at waitLimit.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func connections(ws *otelws.Instrumentation) []otelws.Connection {
	return slices.SortedFunc(ws.Connections(), func(a, b otelws.Connection) int { return cmp.Compare(a.ID, b.ID) })
}

func TestConnections(t *testing.T) {
	ws, _ := newInstrumentation(t,
		otelws.WithEnum("plan", func(*http.Request) string { return "pro" }, "free", "pro"))
	if all := connections(ws); len(all) != 0 {
		t.Fatalf("before the first connection, Connections returned %v", all)
	}
	begun := time.Now()
	server, client := otelwstest.Pair(t, ws,
		&websocket.AcceptOptions{Subprotocols: []string{"chat"}}, &websocket.DialOptions{Subprotocols: []string{"chat"}})
	ctx := context.Background()
	if err := client.Write(ctx, websocket.MessageText, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.Read(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both ends have counted", func() bool {
		all := connections(ws)
		return len(all) == 2 && all[0].MessagesReceived+all[1].MessagesReceived == 1 && all[0].MessagesSent+all[1].MessagesSent == 1
	})
	all := connections(ws)
	slices.SortFunc(all, func(a, b otelws.Connection) int { return cmp.Compare(b.BytesReceived, a.BytesReceived) })
	accepted, dialed := all[0], all[1]
	const wire = 2 + 4 + 100 // a masked frame
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"accepted.Client", accepted.Client, false},
		{"dialed.Client", dialed.Client, true},
		{"accepted.BytesReceived", accepted.BytesReceived, int64(wire)},
		{"accepted.BytesSent", accepted.BytesSent, int64(0)},
		{"dialed.BytesSent", dialed.BytesSent, int64(wire)},
		{"dialed.MessagesSent", dialed.MessagesSent, int64(1)},
		{"accepted.Subprotocol", accepted.Subprotocol, "chat"},
		{"accepted.State", accepted.State, otelws.StateOpen},
		{"accepted.RemoteAddr", accepted.RemoteAddr.String(), "pipe"},
		{"accepted.Attributes", slices.Contains(accepted.Attributes(), attribute.String("plan", "pro")), true},
		{"ids", accepted.ID + dialed.ID, uint64(1 + 2)},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %v, want %v", tt.what, tt.got, tt.want)
		}
	}
	for _, c := range all {
		if c.Opened.Before(begun.Add(-time.Second)) || c.Opened.After(time.Now().Add(time.Second)) || c.Age <= 0 || c.Idle > c.Age {
			t.Errorf("implausible times: opened %v, age %v, idle %v", c.Opened, c.Age, c.Idle)
		}
		if _, ok := c.TCP(); ok {
			t.Error("a connection in memory has figures of the kernel")
		}
	}

	server.CloseRead(ctx)
	go func() { _, _, _ = client.Read(ctx) }()
	if err := server.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	for c := range ws.Connections() {
		if !c.Client && (c.RTT <= 0 || c.PingUnanswered != 0) {
			t.Errorf("after a pong: RTT %v, unanswered %v", c.RTT, c.PingUnanswered)
		}
	}
	if err := client.Close(4000, "enough"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no connection is open", func() bool { return len(connections(ws)) == 0 })
	eventually(t, "both connections are in Ended", func() bool { return len(ws.Ended()) == 2 })
	ended := ws.Ended()
	for _, e := range ended {
		by := otelws.InitiatorPeer
		if e.Client {
			by = otelws.InitiatorLocal
		}
		if e.Code != 4000 || e.Reason != "enough" || e.Initiator != by || e.State != otelws.StateEnded || e.Age <= 0 || e.Ended.Before(e.Opened) {
			t.Errorf("Ended holds %+v", e)
		}
		if _, ok := e.TCP(); ok {
			t.Error("an ended connection has figures of the kernel")
		}
	}
}

// Connections shows a blocked write and an unanswered ping while they last.
func TestConnectionsThatHang(t *testing.T) {
	ws, _ := newInstrumentation(t)
	server, client := otelwstest.Pair(t, ws, nil, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	accepted := func() otelws.Connection {
		for c := range ws.Connections() {
			if !c.Client {
				return c
			}
		}
		t.Fatal("Connections does not show the connection")
		return otelws.Connection{}
	}
	server.CloseRead(ctx)
	go func() { _ = server.Ping(ctx) }() // unanswered, because nobody reads at the other end
	eventually(t, "Connections shows an unanswered ping", func() bool { return accepted().PingUnanswered > 0 })
	if w := accepted().Writing; w != 0 {
		t.Errorf("a write shows as blocked for %v, though none is", w)
	}
	go func() { _ = server.Write(ctx, websocket.MessageBinary, make([]byte, 1<<20)) }()
	eventually(t, "Connections shows a blocked write", func() bool { return accepted().Writing > 0 })
	eventually(t, "the blocked write has lasted 20 ms", func() bool { return accepted().Writing > 20*time.Millisecond })
	_ = client.CloseNow()
}

// State tells which sides have sent a close frame.
func TestConnectionStates(t *testing.T) {
	ws, _ := newInstrumentation(t)
	accepted := make(chan net.Conn, 1)
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := gobwas.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	payload := closePayload(1000, "")
	for _, first := range []otelws.State{otelws.StateCloseSent, otelws.StateCloseReceived} {
		client := openWire(t, s)
		server := <-accepted
		expect := func(want otelws.State) {
			t.Helper()
			for _, c := range connections(ws) {
				if c.State != want {
					t.Errorf("the state is %v, want %v", c.State, want)
				}
			}
		}
		send := func() {
			if _, err := server.Write(append([]byte{fin | opClose, byte(len(payload))}, payload...)); err != nil {
				t.Error(err)
			}
		}
		receive := func() {
			client.send(masked(fin|opClose, payload))
			if _, err := io.ReadFull(server, make([]byte, 6+len(payload))); err != nil {
				t.Error(err)
			}
		}
		expect(otelws.StateOpen)
		if first == otelws.StateCloseSent {
			send()
			expect(first)
			receive()
		} else {
			receive()
			expect(first)
			send()
		}
		expect(otelws.StateClosing)
		_, _ = client.Close(), server.Close()
	}
	s.wait(t)
}

// Ended keeps the newest connections.
func TestEnded(t *testing.T) {
	ws, m := newInstrumentation(t)
	const n = 130 // visits, of two connections each
	for range n {
		server, client := otelwstest.Pair(t, ws, nil, nil)
		_ = client.CloseNow()
		_ = server.CloseNow()
	}
	m.Wait(t, `ws_client_connections_closed_total{code="1006"}`, n)
	eventually(t, "Ended holds its 256 connections", func() bool { return len(ws.Ended()) == 256 })
	ended := ws.Ended()
	for i := 1; i < len(ended); i++ {
		if ended[i].Ended.After(ended[i-1].Ended.Add(time.Second)) {
			t.Fatalf("Ended is out of order: %v comes after %v", ended[i].Ended, ended[i-1].Ended)
		}
	}
	if ended[0].ID < n {
		t.Errorf("the newest ended connection is %d", ended[0].ID)
	}
}
