package otelws_test

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
)

// greet accepts a connection, says hello, and waits for the client to close.
func greet(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	_ = c.Write(r.Context(), websocket.MessageText, []byte("hello"))
	_, _, _ = c.Read(r.Context())
}

// A client that dials through net/http, such as coder/websocket, is watched through the
// Transport of its http.Client.
func ExampleInstrumentation_Transport() {
	ws, exp := watched()
	url, stop := start(http.HandlerFunc(greet))
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: ws.Transport(nil)},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, _, _ = c.Read(ctx)
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	show(exp, "ws_client_connections_opened_total", "ws_client_message_bytes_sum")
	// Output:
	// ws_client_connections_opened_total 1
	// ws_client_message_bytes_sum 5
}

// Dial replaces websocket.Dial.
func ExampleInstrumentation_Dial() {
	ws, exp := watched()
	url, stop := start(http.HandlerFunc(greet))
	ctx := context.Background()
	c, _, err := ws.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _, _ = c.Read(ctx)
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	show(exp, `ws_client_connections_closed_total{code="1000"}`)
	// Output: ws_client_connections_closed_total{code="1000"} 1
}

// A library that dials itself takes a DialContext. gorilla/websocket takes one for ws:
// and one for wss:.
func ExampleInstrumentation_DialContext() {
	ws, exp := watched()
	url, stop := start(http.HandlerFunc(greet))
	dialer := gorilla.Dialer{
		NetDialContext:    ws.DialContext(nil),                                              // for ws:
		NetDialTLSContext: ws.DialContext((&tls.Dialer{Config: &tls.Config{}}).DialContext), // for wss:
	}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(url, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _, _ = c.ReadMessage()
	_ = c.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, ""))
	_, _, _ = c.ReadMessage() // the answer to the close frame
	_ = c.Close()
	stop()
	show(exp, `ws_client_connections_closed_total{code="1000"}`, "ws_client_message_bytes_sum")
	// Output:
	// ws_client_connections_closed_total{code="1000"} 1
	// ws_client_message_bytes_sum 5
}

// Conn watches a connection that is already dialed. With TLS, it goes on top of the TLS
// connection, as in WrapConn of gobwas/ws.
func ExampleInstrumentation_Conn() {
	ws, exp := watched()
	url, stop := start(http.HandlerFunc(greet))
	dialer := gobwas.Dialer{
		WrapConn: func(nc net.Conn) net.Conn { return ws.Conn(nc) },
	}
	c, early, _, err := dialer.Dial(context.Background(), "ws"+strings.TrimPrefix(url, "http"))
	if err != nil {
		log.Fatal(err)
	}
	if early == nil { // otherwise the greeting came with the response
		_, _, _ = wsutil.ReadServerData(c)
	}
	_ = c.Close()
	stop()
	show(exp, "ws_client_connections_opened_total", `ws_client_connections_closed_total{code="1006"}`)
	// Output:
	// ws_client_connections_closed_total{code="1006"} 1
	// ws_client_connections_opened_total 1
}
