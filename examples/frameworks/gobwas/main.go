// Command gobwas is an echo server with gobwas/ws and without net/http. A Listener watches its
// connections. At shutdown, the server sends a close frame to each client.
package main

import (
	"context"
	"errors"
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
	l, err := net.Listen("tcp", "localhost:8080")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Println(exp.ListenAndServe(context.Background())) }()
	if err := serve(ctx, l, watch); err != nil {
		log.Fatal(err)
	}
}

// serve serves until ctx is done.
func serve(ctx context.Context, l net.Listener, watch *otelws.Instrumentation) error {
	l = watch.Listener(l)
	context.AfterFunc(ctx, func() { _ = l.Close() })
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			return err
		}
		go echo(c)
	}
	deadline, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return watch.Drain(deadline)
}

func echo(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := ws.Upgrade(c); err != nil {
		return
	}
	_ = c.SetDeadline(time.Time{}) // the heartbeat detects peers that vanished
	for {
		message, op, err := wsutil.ReadClientData(c)
		if err != nil || wsutil.WriteServerMessage(c, op, message) != nil {
			return
		}
	}
}
