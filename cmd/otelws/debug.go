package main

import (
	"net/http"

	"github.com/otelws/otelws-go/exporter"
)

// debugPath is the path of the page with the live connections, on the listener of the metrics.
const debugPath = "/debug/ws"

func debugPage(h http.Handler) exporter.Option {
	return exporter.WithPage(debugPath, "WebSocket connections", h)
}
