// Package otelws adds OpenTelemetry metrics and traces to WebSocket servers and clients.
//
// It instruments the network connection, not the API of a WebSocket library. Wrap a server's
// handler with [Instrumentation.Handler], or use [Instrumentation.Transport] in a client's
// [net/http.Client]. Both put a tap below the WebSocket library. The tap passes all bytes on
// unchanged, and reads the frame headers. It works with any library that hijacks the connection,
// and handlers need no changes.
//
//	ws, err := otelws.New()
//	...
//	http.Handle("/ws", ws.Handler(handler))
//
// # Where to start
//
// How a program gets its connections decides which method it uses:
//
//   - A server on [net/http], or on a framework that uses it: [Instrumentation.Handler].
//   - A client on net/http, such as coder/websocket: [Instrumentation.Transport].
//   - A server that reads requests from its own listener, such as fiber, fasthttp, gobwas/ws or
//     gws: [Instrumentation.Listener].
//   - A client that dials by itself, such as gorilla/websocket, gobwas/ws or gws:
//     [Instrumentation.DialContext] or [Instrumentation.Conn].
//
// [Instrumentation.Accept] and [Instrumentation.Dial] are shorter forms for coder/websocket.
//
// By default, the tap only reads. With [WithHeartbeat] it also sends pings and ends dead
// connections, and [Instrumentation.Drain] closes all connections at shutdown. Both work with any
// library.
//
// # Rules for handlers
//
// A handler should close its connection in any case, with defer c.CloseNow() or the like. It should
// also read until an error; a handler that only writes can call c.CloseRead of coder/websocket.
// Otherwise nobody notices that the peer has left, and the connection stays open.
//
// # Metrics and attributes
//
// The tap counts a connection as open from the 101 response until its transport ends. The gauge of
// open connections therefore cannot drift.
//
// Every attribute has a closed set of values. The number of time series is therefore known before
// the first connection, and [New] returns an error if it is above the budget.
package otelws
