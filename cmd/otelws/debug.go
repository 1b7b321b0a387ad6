package main

import (
	"net/http"

	"github.com/otelws/otelws-go/exporter"
)

// debugPath is where the listener of the metrics shows the live connections.
const debugPath = "/debug/ws"

func debugPage(h http.Handler) exporter.Option {
	return exporter.WithPage(debugPath, "WebSocket connections", h)
}
