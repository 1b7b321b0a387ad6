package servers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/exporter"
)

// otelMetrics are the series of allMetrics, by hand with the OpenTelemetry API, as its
// documentation shows: synchronous instruments, with attributes created in each call.
type otelMetrics struct {
	active         metric.Int64UpDownCounter
	opened, closed metric.Int64Counter
	received, sent metric.Int64Histogram
	rtt            metric.Float64Histogram
	missed         metric.Int64Counter
	duration       metric.Float64Histogram
	handshake      metric.Float64Histogram
	frames, io     metric.Int64Counter
	write          metric.Float64Counter
}

func newOtelMetrics(meter metric.Meter) (*otelMetrics, error) {
	var m otelMetrics
	var errs [12]error
	m.active, errs[0] = meter.Int64UpDownCounter("ws.connections.active", metric.WithUnit("{connection}"))
	m.opened, errs[1] = meter.Int64Counter("ws.connections.opened", metric.WithUnit("{connection}"))
	m.closed, errs[2] = meter.Int64Counter("ws.connections.closed", metric.WithUnit("{connection}"))
	m.received, errs[3] = meter.Int64Histogram("ws.message", metric.WithUnit("By"), metric.WithExplicitBucketBoundaries(sizeBounds...))
	m.sent, errs[4] = meter.Int64Histogram("ws.message.sent", metric.WithUnit("By"), metric.WithExplicitBucketBoundaries(sizeBounds...))
	m.rtt, errs[5] = meter.Float64Histogram("ws.heartbeat.rtt", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(rttBounds...))
	m.missed, errs[6] = meter.Int64Counter("ws.heartbeat.missed", metric.WithUnit("{ping}"))
	m.duration, errs[7] = meter.Float64Histogram("ws.connection.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(durationBounds...))
	m.handshake, errs[8] = meter.Float64Histogram("ws.handshake.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(handshakeBounds...))
	m.frames, errs[9] = meter.Int64Counter("ws.frames", metric.WithUnit("{frame}"))
	m.io, errs[10] = meter.Int64Counter("ws.io", metric.WithUnit("By"))
	m.write, errs[11] = meter.Float64Counter("ws.write.time", metric.WithUnit("s"))
	return &m, errors.Join(errs[:]...)
}

// newOtel returns coder/websocket with otelMetrics, the SDK and the Prometheus exporter.
func newOtel(opts Options) (*Server, error) {
	exp, err := exporter.New()
	if err != nil {
		return nil, err
	}
	m, err := newOtelMetrics(exp.MeterProvider().Meter("example.com/websocket"))
	if err != nil {
		return nil, err
	}
	accept := &websocket.AcceptOptions{
		OnPingReceived: func(ctx context.Context, payload []byte) bool {
			m.frame(ctx, "receive", "ping", frameBytes(len(payload), true))
			m.frame(ctx, "transmit", "pong", frameBytes(len(payload), false))
			return true
		},
		OnPongReceived: func(ctx context.Context, payload []byte) {
			m.frame(ctx, "receive", "pong", frameBytes(len(payload), true))
		},
	}
	return &Server{
		Metrics:  exp.Handler(),
		Shutdown: exp.Shutdown,
		Accept: func(w http.ResponseWriter, r *http.Request) (Conn, error) {
			ctx := r.Context()
			start := time.Now()
			sw := &statusWriter{ResponseWriter: w}
			c, err := websocket.Accept(sw, r, accept)
			opened := time.Now()
			m.handshake.Record(ctx, opened.Sub(start).Seconds(),
				metric.WithAttributes(attribute.Int("http.response.status_code", sw.status)))
			if err != nil {
				return nil, err
			}
			m.opened.Add(ctx, 1)
			m.active.Add(ctx, 1)
			if opts.Heartbeat > 0 {
				go every(ctx, opts.Heartbeat, func(ctx context.Context) error { return m.ping(ctx, c) })
			}
			return &otelConn{Conn: c, metrics: m, opened: opened, code: abnormal, initiator: "local"}, nil
		},
	}, nil
}

// frame counts a frame of n bytes.
func (m *otelMetrics) frame(ctx context.Context, direction, opcode string, n int) {
	m.frames.Add(ctx, 1, metric.WithAttributes(
		attribute.String("network.io.direction", direction),
		attribute.String("opcode", opcode)))
	m.io.Add(ctx, int64(n), metric.WithAttributes(
		attribute.String("network.io.direction", direction)))
}

func (m *otelMetrics) ping(ctx context.Context, c *websocket.Conn) error {
	m.frame(ctx, "transmit", "ping", frameBytes(pingPayload, false))
	start := time.Now()
	err := c.Ping(ctx)
	switch {
	case err == nil:
		m.rtt.Record(ctx, time.Since(start).Seconds())
	case ctx.Err() == context.DeadlineExceeded:
		m.missed.Add(ctx, 1)
	}
	return err
}

type otelConn struct {
	*websocket.Conn
	metrics         *otelMetrics
	opened          time.Time
	code, initiator string
}

func (c *otelConn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	typ, message, err := c.Conn.Read(ctx)
	if err != nil {
		c.ended(ctx, err)
		return typ, message, err
	}
	c.metrics.received.Record(ctx, int64(len(message)))
	c.metrics.frame(ctx, "receive", opcode(typ), frameBytes(len(message), true))
	return typ, message, nil
}

func (c *otelConn) Write(ctx context.Context, typ websocket.MessageType, message []byte) error {
	start := time.Now()
	err := c.Conn.Write(ctx, typ, message)
	c.metrics.write.Add(ctx, time.Since(start).Seconds())
	if err != nil {
		return err
	}
	c.metrics.sent.Record(ctx, int64(len(message)))
	c.metrics.frame(ctx, "transmit", opcode(typ), frameBytes(len(message), false))
	return nil
}

func (c *otelConn) ended(ctx context.Context, err error) {
	c.initiator = "peer"
	c.code = closeCode(err)
	if frame, ok := errors.AsType[websocket.CloseError](err); ok {
		c.metrics.frame(ctx, "receive", "close", frameBytes(closePayload(frame), true))
		c.metrics.frame(ctx, "transmit", "close", frameBytes(closePayload(frame), false))
	}
}

func (c *otelConn) CloseNow() error {
	ctx, m := context.Background(), c.metrics
	m.active.Add(ctx, -1)
	m.closed.Add(ctx, 1, metric.WithAttributes(attribute.String("code", c.code)))
	m.duration.Record(ctx, time.Since(c.opened).Seconds(), metric.WithAttributes(
		attribute.String("code", c.code),
		attribute.String("initiator", c.initiator)))
	return c.Conn.CloseNow()
}

func opcode(typ websocket.MessageType) string {
	if typ == websocket.MessageText {
		return "text"
	}
	return "binary"
}
