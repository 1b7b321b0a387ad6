// Command gorilla is an echo server with gorilla/websocket and a heartbeat of its own. otelws sees
// gorilla's pings and pongs like all other frames.
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
	log.Fatal(srv.ListenAndServe()) // for an orderly shutdown, see examples/echo
}

// upgrader has a buffer for usual large messages, from a pool, so that an idle connection holds no
// buffer. A message that is larger than the buffer needs one vectored write on a bare socket, and
// two writes on a watched connection or with TLS.
var upgrader = websocket.Upgrader{WriteBufferSize: 16<<10 + 512, WriteBufferPool: new(sync.Pool)}

// echo closes a connection without a pong for pongWait. This counts as 1006 with the initiator
// timeout, if nothing else was received either.
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

// ping also closes a connection whose peer does not read. The handler is then blocked in a write,
// and cannot notice it.
func (e echo) ping(c *websocket.Conn, stop <-chan struct{}) {
	tick := time.NewTicker(e.pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			payload := now.AppendFormat(nil, time.RFC3339Nano) // identifies the ping in its pong
			if c.WriteControl(websocket.PingMessage, payload, now.Add(e.pongWait)) != nil {
				_ = c.Close()
				return
			}
		}
	}
}
