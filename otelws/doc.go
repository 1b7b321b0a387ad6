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
// The tap counts a connection as open from the 101 response until its transport ends. The gauge of
// open connections therefore cannot drift.
//
// Every attribute has a closed set of values. The number of time series is therefore known before
// the first connection, and [New] returns an error if it is above the budget.
package otelws
