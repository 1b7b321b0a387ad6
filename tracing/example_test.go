package tracing_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelws/otelws-go/tracing"
)

// A server records a span for one message in a hundred, and for at most five messages
// per second of each connection.
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

// Code that does not use Conn to read and write starts and ends the spans itself.
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

// A room sends a message with one span, however many members it has. It closes the
// connection of a member that does not receive the message in time.
func ExampleInstrumentation_Broadcast() {
	spans := tracetest.NewInMemoryExporter()
	tr, err := tracing.New(tracing.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))))
	if err != nil {
		log.Fatal(err)
	}
	room := make(chan *tracing.Conn, 2)
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		conn, err := tr.Conn(r.Context(), c)
		if err != nil {
			return
		}
		left := c.CloseRead(r.Context()) // the room only sends
		room <- conn
		select {
		case <-left.Done():
		case <-over:
		}
	}))
	defer srv.Close()
	ctx := context.Background()
	var members [2]*websocket.Conn
	for i := range members {
		if members[i], _, err = websocket.Dial(ctx, srv.URL, nil); err != nil {
			log.Fatal(err)
		}
		defer members[i].CloseNow()
	}

	failed := tr.Broadcast(ctx, websocket.MessageText, []byte("hello"), []*tracing.Conn{<-room, <-room}, &tracing.BroadcastOptions{
		Destination: "/rooms/{id}",
		Timeout:     time.Second,
	})
	for conn := range failed {
		_ = conn.Unwrap().CloseNow()
	}

	for _, c := range members {
		_, message, _ := c.Read(ctx)
		fmt.Printf("%s\n", message)
	}
	fmt.Println(len(spans.GetSpans()), "span:", spans.GetSpans()[0].Name)
	close(over)
	// Output:
	// hello
	// hello
	// 1 span: send /rooms/{id}
}

// Serve records a span for each message that it reads, and for each message that the
// handler sends. The spans link to the handshake. If both sides have agreed, messages
// carry the context.
func ExampleConn_Serve() {
	spans := tracetest.NewInMemoryExporter()
	tr, err := tracing.New(tracing.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))), tracing.WithSampling())
	if err != nil {
		log.Fatal(err)
	}
	over := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: tracing.Subprotocols("chat")})
		if err != nil {
			return
		}
		defer c.CloseNow()
		conn, err := tr.Conn(r.Context(), c, tracing.Destination("/chat"))
		if err != nil {
			return
		}
		_ = conn.Serve(r.Context(), func(ctx context.Context, typ websocket.MessageType, data []byte) error {
			return conn.Send(ctx, typ, data)
		})
	}))
	defer srv.Close()

	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{Subprotocols: []string{"chat"}}) // a client without tracing
	if err != nil {
		log.Fatal(err)
	}
	_ = c.Write(ctx, websocket.MessageText, []byte("hello"))
	_, message, _ := c.Read(ctx)
	fmt.Printf("%s\n", message)
	_ = c.Close(websocket.StatusNormalClosure, "")
	<-over
	for _, span := range spans.GetSpans() {
		fmt.Println(span.SpanKind, span.Name)
	}
	// Output:
	// hello
	// producer send /chat
	// consumer process /chat
}
