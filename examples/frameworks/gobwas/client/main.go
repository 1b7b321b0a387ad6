// Command client sends a greeting and prints the messages of a server. gobwas/ws
// dials without net/http, so DialContext watches its connections. Their metrics are
// named ws_client_..., and their heartbeat detects a server that vanished. At the
// end, the client sends a close frame.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

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
	watch, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()), otelws.WithHeartbeat())
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Println(exp.ListenAndServe(context.Background())) }()
	got := func(message []byte) { log.Printf("%s", message) }
	if err := run(ctx, watch, "ws://localhost:8080/echo", got); err != nil {
		log.Fatal(err)
	}
}

// run returns when the connection has ended.
func run(ctx context.Context, watch *otelws.Instrumentation, url string, got func([]byte)) error {
	dialer := ws.Dialer{
		NetDial: watch.DialContext(nil),
		// For wss, use WrapConn: watch.Conn instead, because it receives the
		// connection above TLS.
		Timeout: 10 * time.Second,
	}
	c, early, _, err := dialer.Dial(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	conn := connection{c, c}
	if early != nil { // frames that came with the response
		conn.Reader = early
	}
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		drained <- watch.Drain(deadline)
	})
	err = talk(conn, got)
	_ = c.Close()
	if !stop() { // this side has ended the connection
		return <-drained
	}
	return err
}

type connection struct {
	net.Conn
	io.Reader
}

func (c connection) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// talk sends a greeting, and receives until the end. wsutil answers pings and close
// frames.
func talk(c io.ReadWriter, got func([]byte)) error {
	if err := wsutil.WriteClientText(c, []byte("hello")); err != nil {
		return err
	}
	for {
		message, _, err := wsutil.ReadServerData(c)
		if closed := (wsutil.ClosedError{}); errors.As(err, &closed) && closed.Code == ws.StatusNormalClosure {
			return nil
		}
		if err != nil {
			return err
		}
		got(message)
	}
}
