// Command server is an echo server with gorilla/websocket. otelws sends its heartbeats, so it needs
// no goroutine and no ticker for each connection. At shutdown, it sends a close frame to each
// client.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
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
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()), otelws.WithHeartbeat(),
		otelws.WithDrain(otelws.DrainSpread(5*time.Second))) // so that clients do not all reconnect at once
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "localhost:8080")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Println(exp.ListenAndServe(context.Background())) }()
	if err := serve(ctx, l, ws); err != nil {
		log.Fatal(err)
	}
}

// serve serves until ctx is done.
func serve(ctx context.Context, l net.Listener, ws *otelws.Instrumentation) error {
	srv := &http.Server{Handler: ws.Handler(http.HandlerFunc(echo)), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := srv.Shutdown(deadline) // does not close WebSocket connections
	return errors.Join(err, ws.Drain(deadline))
}

var upgrader websocket.Upgrader

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	for {
		typ, message, err := c.ReadMessage()
		if err != nil || c.WriteMessage(typ, message) != nil {
			return
		}
	}
}
