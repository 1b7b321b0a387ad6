// Command client prints the messages of a server, and reconnects when the connection ends.
// gorilla/websocket dials without net/http, so DialContext watches its connections. Their metrics
// are named ws_client_..., and their heartbeat detects a server that vanished.
package main

import (
	"context"
	"errors"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exp, err := exporter.New()
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()), otelws.WithHeartbeat())
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Println(exp.ListenAndServe(context.Background())) }()
	c := newClient(ws, "ws://localhost:8080/echo", func(message []byte) { log.Printf("%s", message) })
	if err := c.run(ctx); err != nil {
		log.Fatal(err)
	}
}

type client struct {
	ws     *otelws.Instrumentation
	dialer *websocket.Dialer
	url    string
	got    func(message []byte)
	pause  time.Duration // average pause before the next dial
}

func newClient(ws *otelws.Instrumentation, url string, got func([]byte)) *client {
	dialer := &websocket.Dialer{
		NetDialContext: ws.DialContext(nil),
		// wss: NetDialTLSContext: ws.DialContext((&tls.Dialer{Config: config}).DialContext),
		HandshakeTimeout: 10 * time.Second,
	}
	return &client{ws, dialer, url, got, time.Second}
}

// run stays connected until ctx is done, and then closes the connection with a close frame.
func (c *client) run(ctx context.Context) error {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ctx.Err() == nil {
			if err := c.connect(ctx); ctx.Err() == nil {
				log.Print(err)
			}
			select {
			case <-time.After(c.pause/2 + rand.N(c.pause)):
			case <-ctx.Done():
			}
		}
	}()
	<-ctx.Done()
	deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := c.ws.Drain(deadline)
	<-over
	return err
}

// connect returns when the connection has ended.
func (c *client) connect(ctx context.Context) (err error) {
	conn, _, err := c.dialer.DialContext(ctx, c.url, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		return err
	}
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		c.got(message)
	}
}
