// Command client prints the messages of a server. lxzan/gws accepts a dialed
// connection, so DialContext can watch it. Its metrics are named ws_client_..., and
// its heartbeat detects a server that vanished. At the end, the client sends a close
// frame.
package main

import (
	"context"
	"log"
	"net/url"
	"os"
	"os/signal"
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
	go func() { log.Println(exp.ListenAndServe(context.Background())) }()
	got := func(message []byte) { log.Printf("%s", message) }
	if err := run(ctx, ws, "ws://localhost:8080/echo", got); err != nil {
		log.Fatal(err)
	}
}

// run returns when the connection has ended.
func run(ctx context.Context, ws *otelws.Instrumentation, address string, got func([]byte)) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	dial := ws.DialContext(nil) // wss: ws.DialContext((&tls.Dialer{Config: config}).DialContext)
	nc, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	events := &printing{got: got, over: make(chan error, 1)}
	c, _, err := gws.NewClientFromConn(events, &gws.ClientOption{Addr: address}, nc)
	if err != nil {
		return err
	}
	if err := c.WriteString("hello"); err != nil {
		return err
	}
	go c.ReadLoop()
	select {
	case err := <-events.over:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return ws.Drain(deadline)
}

type printing struct {
	gws.BuiltinEventHandler
	got  func([]byte)
	over chan error
}

func (p *printing) OnMessage(_ *gws.Conn, message *gws.Message) {
	p.got(message.Bytes())
	_ = message.Close()
}

func (p *printing) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

func (p *printing) OnClose(_ *gws.Conn, err error) { p.over <- err }
