// Command client sends messages to examples/echo and prints the round-trip times, once a second.
// The metrics of its own connection are named ws_client_...
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

func main() {
	exp, err := exporter.New(exporter.WithListenAddress("localhost:9092")) // the server uses 9091
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(
		otelws.WithMeterProvider(exp.MeterProvider()),
		otelws.WithHeartbeat(), // detects a server that vanished
	)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() { log.Fatal(exp.ListenAndServe(context.Background())) }()
	if err := run(ctx, ws, "ws://localhost:8080/echo", time.Second, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run sends messages until ctx is done, or the connection ends.
func run(ctx context.Context, ws *otelws.Instrumentation, url string, every time.Duration, out io.Writer) error {
	// For code that takes an *http.Client, use ws.Transport(nil).
	c, _, err := ws.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	ended := make(chan error, 1)
	go func() { ended <- show(c, out) }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			err := c.Close(websocket.StatusNormalClosure, "")
			// Either this goroutine or show reads the server's close frame. The other one then
			// finds the connection closed.
			if shown := <-ended; !errors.Is(shown, net.ErrClosed) {
				err = errors.Join(err, shown)
			}
			return err
		case now := <-tick.C:
			// If ctx ended a Read or Write, the connection would close without a close frame.
			if err := c.Write(context.WithoutCancel(ctx), websocket.MessageText, now.AppendFormat(nil, time.TimeOnly)); err != nil {
				return err
			}
		}
	}
}

// show reads all the time, because pongs are only seen while reading.
func show(c *websocket.Conn, out io.Writer) error {
	for {
		_, message, err := c.Read(context.Background())
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n", message)
	}
}
