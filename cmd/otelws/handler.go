package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

const (
	// echoLimit is the longest message that /echo takes.
	echoLimit = 512 << 10
	// writeTimeout is how long a client may take to read one message.
	writeTimeout = 10 * time.Second
)

// newDemoHandler returns the handler of the demo's server s. metricsURL is for
// the index.
func newDemoHandler(s *server, metricsURL string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", index(metricsURL))
	mux.Handle("/echo", echo(s.ws))
	mux.Handle("/room", newRoom(s.ws))
	// Accept would do for the connections; this sees the handshakes whole, and
	// those that ask for another path.
	return s.ws.Handler(mux)
}

const indexText = `otelws demo

ws://%[1]s/echo   sends back what it receives
ws://%[1]s/room   sends what it receives to everybody in the room

Metrics: %[2]s

To try it, paste this in the browser's console on this page:

let ws = new WebSocket("ws://" + location.host + "/echo")
ws.onmessage = (m) => console.log(m.data)
ws.onopen = () => ws.send("hello")
`

func index(metricsURL string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		fmt.Fprintf(w, indexText, r.Host, metricsURL)
	}
}

func echo(ws *otelws.Instrumentation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return // the client has its answer
		}
		defer c.CloseNow()
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
