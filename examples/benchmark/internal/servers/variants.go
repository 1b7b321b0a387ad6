package servers

import _ "embed" // for node.js

// Variant is one of the servers to compare.
type Variant struct {
	Name string
	// Title says what it is, for a table.
	Title string
	// Aside is set for what is measured with the 64-byte echo alone.
	Aside bool
	// New makes the server, where it is one in Go.
	New func(Options) (*Server, error)
	// Node says whether it is one in Node, and of which kind.
	Node NodeKind
}

// NodeKind is a kind of server in Node.
type NodeKind int

// The kinds of servers in Node.
const (
	NotNode NodeKind = iota
	NodeBare
	NodeMetrics
)

// NodeScript is the server in Node: a script for node -e, with METRICS=1 in its
// environment for NodeMetrics, and HEARTBEAT_MS.
//
//go:embed node.js
var NodeScript string

// The variants that others are compared with.
const (
	Bare   = "bare"
	Otelws = "otelws"
)

// Variants are all servers, in the order of the tables.
var Variants = []Variant{
	{Name: Bare, Title: "coder/websocket", New: newBare},
	{Name: Otelws, Title: "otelws, SDK and exporter", New: newOtelws},
	{Name: "noop", Title: "otelws, no-op provider", New: newNoop},
	{Name: "prometheus-five", Title: "client_golang by hand, five metrics", New: newPrometheusFive},
	{Name: "prometheus-all", Title: "client_golang by hand, all metrics", New: newPrometheusAll},
	{Name: "otel", Title: "OpenTelemetry by hand, all metrics", New: newOtel},
	{Name: "node", Title: "Node ws", Node: NodeBare},
	{Name: "node-prometheus", Title: "Node ws, prom-client by hand", Node: NodeMetrics},
	{Name: "otelws-sampled", Title: "otelws, every trace sampled", Aside: true, New: newSampled},
	{Name: "otelws-readers", Title: "otelws, two readers", Aside: true, New: newTwoReaders},
}
