package proxy

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// refused is the reason for refusing a client.
type refused uint8

const (
	refusedHead refused = iota
	refusedLate
	refusedMethod
	refusedTarget
	refusedHandshake
	refusedBody
	refusedConnections
	refusedClientConnections
	refusedRate
	refusedClientRate
)

var refusedReasons = [...]string{
	refusedHead:              "head",        // malformed (400) or too large (431), according to net/http
	refusedLate:              "late",        // the head did not arrive in time (408)
	refusedMethod:            "method",      // CONNECT, PRI, or malformed (405, 505, 400)
	refusedTarget:            "target",      // no host or a malformed one, an unsupported scheme, or a path that leaves the backend's path (400)
	refusedHandshake:         "handshake",   // an invalid WebSocket handshake (400, 405, 426)
	refusedBody:              "body",        // a handshake with a body, or a malformed body (400)
	refusedConnections:       "connections", // limits for all clients: 503; for one client: 429
	refusedClientConnections: "client_connections",
	refusedRate:              "rate",
	refusedClientRate:        "client_rate",
}

// cut is the reason for which the proxy ended a tunnel.
type cut uint8

const (
	cutIdle cut = iota
	cutClientEnded
	cutBackendEnded
)

var cutReasons = [...]string{
	cutIdle:         "idle",
	cutClientEnded:  "client_ended",  // the client had ended its side, and the backend did not end in time
	cutBackendEnded: "backend_ended", // the backend had ended its side, and the client did not end in time
}

// metrics counts the events that the instrumentation of the connections does not see.
type metrics struct {
	refused [len(refusedReasons)]atomic.Int64
	cut     [len(cutReasons)]atomic.Int64
}

const keyReason = attribute.Key("reason")

// newMetrics registers the counters. They report every reason from the start, because
// rate() does not see the first increment of a series that begins at 1.
func newMetrics(mp metric.MeterProvider) (*metrics, error) {
	if mp == nil {
		mp = noop.NewMeterProvider()
	}
	m := new(metrics)
	meter := mp.Meter("github.com/otelws/otelws-go/cmd/otelws/internal/proxy")
	_, err := meter.Int64ObservableCounter("otelws.proxy.refused", metric.WithUnit("{request}"),
		metric.WithDescription("Requests and connections that the proxy refused, by reason."),
		metric.WithInt64Callback(observe(m.refused[:], refusedReasons[:])))
	if err != nil {
		return nil, err
	}
	_, err = meter.Int64ObservableCounter("otelws.proxy.cut", metric.WithUnit("{connection}"),
		metric.WithDescription("WebSocket connections that the proxy ended, by reason."),
		metric.WithInt64Callback(observe(m.cut[:], cutReasons[:])))
	return m, err
}

func observe(counts []atomic.Int64, reasons []string) metric.Int64Callback {
	sets := make([]metric.MeasurementOption, len(reasons))
	for i, r := range reasons {
		sets[i] = metric.WithAttributeSet(attribute.NewSet(keyReason.String(r)))
	}
	return func(_ context.Context, o metric.Int64Observer) error {
		for i := range counts {
			o.Observe(counts[i].Load(), sets[i])
		}
		return nil
	}
}
