// Command gorilla is an echo server with gorilla/websocket. otelws sees the
// frames whoever writes them: gorilla's own pings are the heartbeat.
package main

import (
	"context"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

func main() {
	exp, err := exporter.New()
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/echo", ws.Handler(echo{pingEvery: 30 * time.Second, pongWait: 40 * time.Second}))
	srv := &http.Server{Addr: "localhost:8080", ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Fatal(exp.ListenAndServe(context.Background())) }()
	log.Fatal(srv.ListenAndServe()) // examples/echo shuts down in order
}

// upgrader has a buffer for the largest of the usual messages, and a pool so that
// an idle connection holds none. A message above it is one vectored write on a
// bare socket, and two writes on a connection that is watched, or TLS.
var upgrader = websocket.Upgrader{WriteBufferSize: 16<<10 + 512, WriteBufferPool: new(sync.Pool)}

// echo ends a connection that had no pong for pongWait, which is counted as 1006:
// by timeout, if nothing else came either.
type echo struct{ pingEvery, pongWait time.Duration }

func (e echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	alive := func(string) error { return c.SetReadDeadline(time.Now().Add(e.pongWait)) }
	c.SetPongHandler(alive)
	_ = alive("")
	stop := make(chan struct{})
	defer close(stop)
	go e.ping(c, stop)
	for {
		typ, message, err := c.ReadMessage()
		if err != nil || c.WriteMessage(typ, message) != nil {
			return
		}
	}
}

// ping also ends a connection whose peer takes no bytes: the handler is then
// stuck in a write, and does not read.
func (e echo) ping(c *websocket.Conn, stop <-chan struct{}) {
	tick := time.NewTicker(e.pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			payload := now.AppendFormat(nil, time.RFC3339Nano) // by which a pong finds its ping
			if c.WriteControl(websocket.PingMessage, payload, now.Add(e.pongWait)) != nil {
				_ = c.Close()
				return
			}
		}
	}
}
