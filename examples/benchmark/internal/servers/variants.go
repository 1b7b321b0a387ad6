package servers

import _ "embed" // for node.js

// Variant is one of the servers to compare.
type Variant struct {
	Name string
	// Title describes the variant in a table.
	Title string
	// Only names the loads of the variant. Without names, it has all loads.
	Only []string
	// Base names the server to compare with. The default is Bare.
	Base string
	// Alone means that the server has no idle connections beside the busy ones.
	Alone bool
	// New creates the server if it is written in Go.
	New func(Options) (*Server, error)
	// Node is the kind of a server in Node. It is NotNode for a server in Go.
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

// The variants to which other variants are compared.
const (
	Bare   = "bare"
	Otelws = "otelws"
)

// The loads of variants that do not have all loads.
var (
	aside    = []string{"echo-64"}
	gorillas = []string{"echo-64", "echo-16384"}
)

// Base returns the name of the server that the named one is compared with.
func Base(name string) string {
	for _, v := range Variants {
		if v.Name == name && v.Base != "" {
			return v.Base
		}
	}
	return Bare
}

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
	{Name: "otelws-sampled", Title: "otelws, every trace sampled", Only: aside, New: newSampled},
	{Name: "otelws-readers", Title: "otelws, two readers", Only: aside, New: newTwoReaders},
	{Name: "bare-alone", Title: "coder/websocket, without idle connections", Only: aside, Alone: true, New: newBare},
	{Name: "otelws-alone", Title: "otelws, without idle connections", Only: aside, Alone: true, Base: "bare-alone", New: newOtelws},
	{Name: "gorilla", Title: "gorilla/websocket", Only: gorillas, New: newGorilla},
	{Name: "gorilla-otelws", Title: "gorilla/websocket, otelws", Only: gorillas, Base: "gorilla", New: newGorillaOtelws},
	{Name: "gorilla-buffered", Title: "gorilla/websocket, WriteBufferSize of a message", Only: gorillas, Base: "gorilla", New: newGorillaBuffered},
	{Name: "gorilla-buffered-otelws", Title: "gorilla/websocket, WriteBufferSize of a message, otelws", Only: gorillas, Base: "gorilla", New: newGorillaBufferedOtelws},
}
