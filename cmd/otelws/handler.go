package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

const (
	// echoLimit is the maximum message size of /echo.
	echoLimit = 512 << 10
	// writeTimeout is the time limit for a client to read one message.
	writeTimeout = 10 * time.Second
)

// newDemoHandler returns the handler of the demo: its WebSockets, and its page with plots of past.
func newDemoHandler(ws *otelws.Instrumentation, past *history, clients *simulation, data pageData) http.Handler {
	mux := http.NewServeMux()
	cut := newCutter()
	mux.Handle("/echo", echo(ws, cut))
	mux.Handle("/room", newRoom(ws, cut))
	addPage(mux, data)
	mux.Handle("GET /signals", past)
	own := http.NewCrossOriginProtection()
	mux.Handle("POST /cut", own.Handler(cut))
	mux.Handle("POST /vanish", own.Handler(vanisher(clients)))
	// Accept alone would watch the connections. Handler also records handshakes for unknown paths.
	return ws.Handler(mux)
}

func echo(ws *otelws.Instrumentation, cut *cutter) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer c.CloseNow()
		defer cut.watch(r, c)()
		c.SetReadLimit(echoLimit)
		for {
			if err := echoMessage(r.Context(), c); err != nil {
				return
			}
		}
	}
}

func echoMessage(ctx context.Context, c *websocket.Conn) error {
	typ, message, err := c.Reader(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	w, err := c.Writer(ctx, typ)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, message); err != nil {
		return err
	}
	return w.Close()
}
