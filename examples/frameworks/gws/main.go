// Command gws is an echo server with lxzan/gws, which reads HTTP requests from the connection
// itself. A Listener watches its connections. At shutdown, the server sends a close frame to each
// client.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/lxzan/gws"

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
	s := gws.NewServer(echo{}, nil)
	go func() { log.Print(s.RunListener(ending{ws.Listener(l)})) }()
	<-ctx.Done()
	_ = l.Close()
	deadline, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return ws.Drain(deadline)
}

// ending is a Listener that makes RunListener return when it is closed. Without it, RunListener
// would call Accept forever.
type ending struct{ net.Listener }

func (l ending) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if errors.Is(err, net.ErrClosed) {
		runtime.Goexit()
	}
	return c, err
}

type echo struct{ gws.BuiltinEventHandler }

func (echo) OnMessage(c *gws.Conn, message *gws.Message) {
	defer func() { _ = message.Close() }()
	_ = c.WriteMessage(message.Opcode, message.Bytes())
}

func (echo) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }
