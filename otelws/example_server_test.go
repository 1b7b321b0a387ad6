package otelws_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/otelws/otelws-go/otelws"
)

// Accept replaces websocket.Accept in a handler that no Handler wraps.
func ExampleInstrumentation_Accept() {
	ws, exp := watched()
	url, stop := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_ = c.Write(r.Context(), websocket.MessageText, []byte("hello"))
		_, _, _ = c.Read(r.Context())
	}))

	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _, _ = c.Read(ctx)
	show(exp, "ws_connections_active")
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	show(exp, "ws_connections_active", `ws_connections_closed_total{code="1000"}`)
	// Output:
	// ws_connections_active 1
	// ws_connections_active 0
	// ws_connections_closed_total{code="1000"} 1
}

// A server without net/http accepts connections from a Listener. This one uses
// gobwas/ws.
func ExampleInstrumentation_Listener() {
	ws, exp := watched()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	l = ws.Listener(l)
	address := l.Addr().String()
	stop := startRaw(l, func(c net.Conn) {
		defer c.Close()
		if _, err := gobwas.Upgrade(c); err != nil {
			return
		}
		for {
			message, op, err := wsutil.ReadClientData(c)
			if err != nil || wsutil.WriteServerMessage(c, op, message) != nil {
				return
			}
		}
	})

	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, "ws://"+address, nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = c.Write(ctx, websocket.MessageText, []byte("hello"))
	_, message, _ := c.Read(ctx)
	fmt.Printf("%s\n", message)
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	show(exp, "ws_connections_opened_total", "ws_message_bytes_sum", "ws_message_sent_bytes_sum")
	// Output:
	// hello
	// ws_connections_opened_total 1
	// ws_message_bytes_sum 5
	// ws_message_sent_bytes_sum 5
}

// An attribute has declared values. The metrics show any other value as "other".
func ExampleWithEnum() {
	ws, exp := watched(otelws.WithEnum("plan", func(r *http.Request) string { return r.Header.Get("X-Plan") }, "free", "pro"))
	url, stop := start(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_, _, _ = c.Read(r.Context())
	})))

	for _, plan := range []string{"pro", "' OR 1=1"} {
		c, _, err := websocket.Dial(context.Background(), url, &websocket.DialOptions{HTTPHeader: http.Header{"X-Plan": {plan}}})
		if err != nil {
			log.Fatal(err)
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	stop()
	show(exp, "ws_connections_opened_total")
	// Output:
	// ws_connections_opened_total{plan="free"} 0
	// ws_connections_opened_total{plan="other"} 1
	// ws_connections_opened_total{plan="pro"} 1
}

// SetAttribute is for values that the handler learns before it accepts, for example by
// authentication.
func ExampleSetAttribute() {
	ws, exp := watched(otelws.WithEnum("plan", nil, "free", "pro"))
	authenticate := func(*http.Request) (plan string, err error) { return "pro", nil }
	url, stop := start(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plan, err := authenticate(r)
		if err != nil {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if err := otelws.SetAttribute(r.Context(), "plan", plan); err != nil {
			log.Print(err)
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_, _, _ = c.Read(r.Context())
	})))

	c, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	show(exp, `ws_connections_opened_total{plan="pro"}`)
	// Output: ws_connections_opened_total{plan="pro"} 1
}

// SetAttributeOn is for a server without net/http. It takes the connection, because
// there is no request's context.
func ExampleSetAttributeOn() {
	ws, exp := watched(otelws.WithEnum("plan", nil, "free", "pro"))
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	l = ws.Listener(l)
	address := l.Addr().String()
	stop := startRaw(l, func(c net.Conn) {
		defer c.Close()
		u := gobwas.Upgrader{OnRequest: func([]byte) error { return otelws.SetAttributeOn(c, "plan", "free") }}
		if _, err := u.Upgrade(c); err != nil {
			log.Print(err)
		}
	})

	c, _, err := websocket.Dial(context.Background(), "ws://"+address, nil)
	if err != nil {
		log.Fatal(err)
	}
	_ = c.CloseNow()
	stop()
	show(exp, `ws_connections_opened_total{plan="free"}`)
	// Output: ws_connections_opened_total{plan="free"} 1
}
