package otelws_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestDrain(t *testing.T) {
	ws, m := newInstrumentation(t)
	if err := ws.Drain(context.Background()); err != nil {
		t.Errorf("with no connection: %v", err)
	}
	var clients []*websocket.Conn
	for range 5 {
		server, client := connect(t, ws)
		server.CloseRead(context.Background())
		clients = append(clients, client)
	}
	codes := make(chan websocket.StatusCode)
	for _, c := range clients {
		go func() {
			_, _, err := c.Read(context.Background())
			codes <- websocket.CloseStatus(err)
		}()
	}
	if err := ws.Drain(context.Background()); err != nil {
		t.Error(err)
	}
	for range clients {
		if code := <-codes; code != websocket.StatusGoingAway {
			t.Errorf("a client got code %d", code)
		}
	}
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 5)
	m.Wait(t, "ws_connections_active", 0)
	m.Wait(t, `ws_connection_duration_seconds_count{code="1001",initiator="local"}`, 5)
}

// A client that does not answer is cut off when the time is up.
func TestDrainCutsOff(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, _ := connect(t, ws)
	server.CloseRead(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		atLeast(t, m, `ws_frames_total{network_io_direction="transmit",opcode="close"}`, 1)
		cancel()
	}()
	err := ws.Drain(ctx)
	if err == nil || !strings.Contains(err.Error(), "1 of 1 connections did not close in time") {
		t.Errorf("got %v", err)
	}
	m.Wait(t, "ws_connections_active", 0)
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1) // its close frame had left
}
