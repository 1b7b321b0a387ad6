package main

import (
	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// debugPath is the path of the page with the live connections, on the listener of the metrics.
const debugPath = "/debug/ws"

// addDebugPage adds the page of ws.
func (t *telemetry) addDebugPage(ws *otelws.Instrumentation) error {
	return t.exp.AddPage(debugPath, "WebSocket connections", ws.DebugHandler(exporter.MayIdentify))
}
