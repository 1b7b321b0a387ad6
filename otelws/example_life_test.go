package otelws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// dialPinged returns a connection, and a channel that gets a value at the first ping.
func dialPinged(ctx context.Context, url string) (c *websocket.Conn, pinged chan string) {
	pinged = make(chan string, 1)
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool {
		select {
		case pinged <- "pinged":
		default:
		}
		return true // answer the ping
	}})
	if err != nil {
		log.Fatal(err)
	}
	c.CloseRead(ctx) // reads and answers pings
	return c, pinged
}

// WithHeartbeat gives every connection a heartbeat, under any library.
func ExampleWithHeartbeat() {
	ws, _ := watched(otelws.WithHeartbeat(
		otelws.Every(30*time.Millisecond), // 30 seconds in a real server
		otelws.Misses(1000),
	))
	var upgrader gorilla.Upgrader
	url, stop := start(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for err == nil { // go on reading, so that pongs arrive
			_, _, err = c.ReadMessage()
		}
	})))

	c, pinged := dialPinged(context.Background(), url)
	fmt.Println(<-pinged)
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	// Output: pinged
}

// Heartbeat is for a single connection, for example of an administrator, whose loss the
// server should notice soon.
func ExampleInstrumentation_Heartbeat() {
	ws, _ := watched()
	url, stop := start(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		if err := ws.Heartbeat(r.Context(), otelws.Every(30*time.Millisecond), otelws.Misses(1000)); err != nil {
			log.Print(err)
		}
		for err == nil {
			_, _, err = c.Read(r.Context())
		}
	})))

	c, pinged := dialPinged(context.Background(), url)
	fmt.Println(<-pinged)
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	// Output: pinged
}

// Drain ends all WebSockets of a process. Call it after http.Server.Shutdown, which
// leaves WebSockets open.
func ExampleInstrumentation_Drain() {
	ws, exp := watched()
	url, stop := start(ws.Handler(http.HandlerFunc(greet)))
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, _, err := c.Read(ctx) // the server's hello
		if err == nil {
			_, _, err = c.Read(ctx)
		}
		read <- err
	}()

	deadline, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	drained := make(chan error)
	go func() { drained <- ws.Drain(deadline, otelws.DrainCode(websocket.StatusServiceRestart, "come back")) }()

	fmt.Println(websocket.CloseStatus(<-read))
	fmt.Println(<-drained)
	stop()
	show(exp, "ws_drain_connections_total")
	// Output:
	// StatusServiceRestart
	// <nil>
	// ws_drain_connections_total{outcome="closed"} 1
	// ws_drain_connections_total{outcome="cut"} 0
}

// LogClosed logs each ended connection, with details that no label may hold.
func ExampleLogClosed() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "duration", "remote_addr": // these differ from run to run
				return slog.Attr{}
			}
			return a
		},
	}))
	ws, _ := watched(otelws.WithOnClose(otelws.LogClosed(logger)))
	url, stop := start(ws.Handler(http.HandlerFunc(greet)))
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url+"/rooms/7", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _, _ = c.Read(ctx)
	_ = c.Close(websocket.StatusGoingAway, "lunch")
	stop()
	// Output: level=INFO msg="websocket closed" code=1001 initiator=peer messages_received=0 messages_sent=1 bytes_received=13 bytes_sent=16 reason=lunch path=/rooms/7
}

// Connections returns the open connections, with who each one is and what it does.
func ExampleInstrumentation_Connections() {
	ws, _ := watched()
	url, stop := start(ws.Handler(http.HandlerFunc(greet)))
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _, _ = c.Read(ctx)

	for c := range ws.Connections() {
		fmt.Println(c.ID, c.State, c.RemoteAddr.Network())
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	for _, c := range ws.Ended() {
		fmt.Println(c.ID, "ended by", c.Code)
	}
	// Output:
	// 1 open tcp
	// 1 ended by StatusNormalClosure
}

// DebugHandler shows the connections to a browser and to otelws top. It belongs on the
// listener of the metrics, never on a public one. The Instrumentation needs the
// Exporter, and DebugHandler needs the Instrumentation, so the page is added last.
func ExampleInstrumentation_DebugHandler() {
	exp, err := exporter.New()
	if err != nil {
		log.Fatal(err)
	}
	defer exp.Shutdown(context.Background())
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		log.Fatal(err)
	}
	if err := exp.AddPage("/debug/ws", "WebSockets", ws.DebugHandler(exporter.MayIdentify)); err != nil {
		log.Fatal(err)
	}
	// A real program calls exp.ListenAndServe(ctx) here.

	url, stop := start(ws.Handler(http.HandlerFunc(greet)))
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _, _ = c.Read(ctx)

	page := httptest.NewRecorder()
	exp.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "http://localhost:9091/debug/ws?sort=idle&n=10", nil))
	var live struct {
		Total       int
		Connections []struct{ Role, State string }
	}
	if err := json.NewDecoder(page.Body).Decode(&live); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", live)
	_ = c.Close(websocket.StatusNormalClosure, "")
	stop()
	// Output: {Total:1 Connections:[{Role:server State:open}]}
}
