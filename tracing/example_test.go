package tracing_test

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/tracing"
)

// A server gives each message a span: one message in a hundred, and no more
// than five a second of a connection.
func Example() {
	tr, err := tracing.New(tracing.WithSampling(tracing.Ratio(.01), tracing.RateLimit(5, 10)))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/rooms/{id}", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: tracing.Subprotocols("chat")})
		if err != nil {
			return
		}
		defer c.CloseNow()
		conn, err := tr.Conn(r.Context(), c, tracing.Destination("/rooms/{id}"))
		if err != nil {
			return
		}
		_ = conn.Serve(r.Context(), func(ctx context.Context, typ websocket.MessageType, data []byte) error {
			return conn.Send(ctx, typ, data)
		})
	})
}

// Code that reads and writes by other means starts and ends the spans itself.
func ExampleInstrumentation_Messages() {
	serve := func(tr *tracing.Instrumentation, r *http.Request, incoming <-chan []byte, write func([]byte) error) error {
		m, err := tr.Messages(r.Context(), tracing.JSON())
		if err != nil {
			return err
		}
		for message := range incoming {
			ctx, payload, processing := m.StartReceive(r.Context(), websocket.MessageText, message)
			_, answer, sending := m.StartSend(ctx, websocket.MessageText, payload)
			err := write(answer)
			sending.End(err)
			processing.End(err)
		}
		return nil
	}
	_ = serve
}

func ExampleInstrumentation_Broadcast() {
	publish := func(ctx context.Context, tr *tracing.Instrumentation, room []*tracing.Conn, message []byte) {
		failed := tr.Broadcast(ctx, websocket.MessageText, message, room, &tracing.BroadcastOptions{
			Destination: "/rooms/{id}",
			Timeout:     time.Second,
		})
		for conn, err := range failed {
			log.Print(err)
			_ = conn.Unwrap().CloseNow()
		}
	}
	_ = publish
}
