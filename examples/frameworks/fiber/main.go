// Command fiber is an echo server with fiber, which is based on fasthttp instead of net/http. A
// Listener watches its connections. At shutdown, the server sends a close frame to each client.
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

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v3"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// tier is only known after authentication, in a handler.
var tier = otelws.WithEnum("tier", nil, "free", "pro")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exp, err := exporter.New()
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()), otelws.WithHeartbeat(), tier)
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
	app := fiber.New()
	app.Get("/echo", func(c fiber.Ctx) error {
		if err := otelws.SetAttributeOn(c.RequestCtx().Conn(), "tier", c.Query("tier", "free")); err != nil {
			log.Print(err)
		}
		return upgrader.Upgrade(c.RequestCtx(), echo)
	})
	failed := make(chan error, 1)
	go func() {
		failed <- app.Listener(ws.Listener(l), fiber.ListenConfig{DisableStartupMessage: true})
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := app.ShutdownWithContext(deadline) // does not close WebSocket connections
	return errors.Join(err, ws.Drain(deadline), <-failed)
}

var upgrader websocket.FastHTTPUpgrader

func echo(c *websocket.Conn) {
	for {
		typ, message, err := c.ReadMessage()
		if err != nil || c.WriteMessage(typ, message) != nil {
			return
		}
	}
}
