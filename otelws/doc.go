// Package otelws instruments WebSocket connections with OpenTelemetry metrics.
//
// It watches the wire, not the API: a [Instrumentation.Handler] around a
// server's handler, or a [Instrumentation.Transport] in a client's
// [net/http.Client], puts a tap under the WebSocket library, which passes the
// bytes on and reads the frame headers that go by. Handlers keep their
// connection and their code, whatever library they use.
//
//	ws, err := otelws.New()
//	...
//	http.Handle("/ws", ws.Handler(handler))
//
// A connection is counted as open from the 101 response until its transport
// ends, so that the gauge cannot drift. Every attribute takes its value from a
// closed set, so that the number of series is known before the first
// connection, and New refuses one above the budget.
package otelws
