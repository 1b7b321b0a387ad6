package servers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// allMetrics are the series of otelws, as far as a handler can record them by hand with
// client_golang. A handler cannot see how a message was divided into frames; here it counts as one.
// It cannot see protocol violations, which the library reports as text. Bytes are computed from
// message lengths, and control frames come from the library's callbacks.
type allMetrics struct {
	*fiveMetrics
	sent      prometheus.Histogram
	missed    prometheus.Counter
	duration  *prometheus.HistogramVec
	handshake prometheus.ObserverVec
	write     prometheus.Counter

	received, transmitted direction
}

// direction has the series of one direction, resolved once. Data frames are indexed by
// websocket.MessageType.
type direction struct {
	data              [3]prometheus.Counter
	ping, pong, close prometheus.Counter
	bytes             prometheus.Counter
}

func newAllMetrics(reg prometheus.Registerer) *allMetrics {
	f := promauto.With(reg)
	frames := f.NewCounterVec(prometheus.CounterOpts{
		Name: "ws_frames_total", Help: "Frames, by direction and opcode."}, []string{"network_io_direction", "opcode"})
	bytes := f.NewCounterVec(prometheus.CounterOpts{
		Name: "ws_io_bytes_total", Help: "Bytes of WebSocket traffic, including frame headers."}, []string{"network_io_direction"})
	resolve := func(name string) direction {
		return direction{
			data: [...]prometheus.Counter{
				websocket.MessageText:   frames.WithLabelValues(name, "text"),
				websocket.MessageBinary: frames.WithLabelValues(name, "binary"),
			},
			ping:  frames.WithLabelValues(name, "ping"),
			pong:  frames.WithLabelValues(name, "pong"),
			close: frames.WithLabelValues(name, "close"),
			bytes: bytes.WithLabelValues(name),
		}
	}
	return &allMetrics{
		fiveMetrics: newFiveMetrics(reg),
		sent: f.NewHistogram(prometheus.HistogramOpts{
			Name: "ws_message_sent_bytes", Help: "Payload size of sent messages.", Buckets: sizeBounds}),
		missed: f.NewCounter(prometheus.CounterOpts{
			Name: "ws_heartbeat_missed_total", Help: "Heartbeat pings that were not answered in time."}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ws_connection_duration_seconds", Help: "Lifetimes of connections.", Buckets: durationBounds}, []string{"code", "initiator"}),
		handshake: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ws_handshake_duration_seconds", Help: "Time of handshakes, by status.", Buckets: handshakeBounds}, []string{"http_response_status_code"}),
		write: f.NewCounter(prometheus.CounterOpts{
			Name: "ws_write_time_seconds_total", Help: "Time spent in writes."}),
		received:    resolve("receive"),
		transmitted: resolve("transmit"),
	}
}

// newPrometheusAll returns coder/websocket with allMetrics.
func newPrometheusAll(opts Options) (*Server, error) {
	reg, err := newRegistry()
	if err != nil {
		return nil, err
	}
	m := newAllMetrics(reg)
	accept := &websocket.AcceptOptions{
		OnPingReceived: func(_ context.Context, payload []byte) bool {
			m.received.ping.Inc()
			m.received.bytes.Add(float64(frameBytes(len(payload), true)))
			m.transmitted.pong.Inc()
			m.transmitted.bytes.Add(float64(frameBytes(len(payload), false)))
			return true
		},
		OnPongReceived: func(_ context.Context, payload []byte) {
			m.received.pong.Inc()
			m.received.bytes.Add(float64(frameBytes(len(payload), true)))
		},
	}
	return &Server{
		Metrics: metricsHandler(reg),
		Accept: func(w http.ResponseWriter, r *http.Request) (Conn, error) {
			start := time.Now()
			sw := &statusWriter{ResponseWriter: w}
			c, err := websocket.Accept(sw, r, accept)
			opened := time.Now()
			m.handshake.WithLabelValues(strconv.Itoa(sw.status)).Observe(opened.Sub(start).Seconds())
			if err != nil {
				return nil, err
			}
			m.opened.Inc()
			m.active.Inc()
			if opts.Heartbeat > 0 {
				go every(r.Context(), opts.Heartbeat, func(ctx context.Context) error { return m.ping(ctx, c) })
			}
			return &allConn{Conn: c, metrics: m, opened: opened, code: abnormal, initiator: "local"}, nil
		},
	}, nil
}

func (m *allMetrics) ping(ctx context.Context, c *websocket.Conn) error {
	m.transmitted.ping.Inc()
	m.transmitted.bytes.Add(float64(frameBytes(pingPayload, false)))
	start := time.Now()
	err := c.Ping(ctx)
	switch {
	case err == nil:
		m.rtt.Observe(time.Since(start).Seconds())
	case ctx.Err() == context.DeadlineExceeded:
		m.missed.Inc()
	}
	return err
}

type allConn struct {
	*websocket.Conn
	metrics         *allMetrics
	opened          time.Time
	code, initiator string
}

func (c *allConn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	typ, message, err := c.Conn.Read(ctx)
	if err != nil {
		c.ended(err)
		return typ, message, err
	}
	m := c.metrics
	m.messages.Observe(float64(len(message)))
	m.received.data[typ].Inc()
	m.received.bytes.Add(float64(frameBytes(len(message), true)))
	return typ, message, nil
}

func (c *allConn) Write(ctx context.Context, typ websocket.MessageType, message []byte) error {
	m := c.metrics
	start := time.Now()
	err := c.Conn.Write(ctx, typ, message)
	m.write.Add(time.Since(start).Seconds())
	if err != nil {
		return err
	}
	m.sent.Observe(float64(len(message)))
	m.transmitted.data[typ].Inc()
	m.transmitted.bytes.Add(float64(frameBytes(len(message), false)))
	return nil
}

// ended records the error that ended the reading. The library answers a close frame with the same
// code.
func (c *allConn) ended(err error) {
	c.initiator = "peer"
	c.code = closeCode(err)
	frame, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		return
	}
	m := c.metrics
	m.received.close.Inc()
	m.received.bytes.Add(float64(frameBytes(closePayload(frame), true)))
	m.transmitted.close.Inc()
	m.transmitted.bytes.Add(float64(frameBytes(closePayload(frame), false)))
}

func (c *allConn) CloseNow() error {
	m := c.metrics
	m.active.Dec()
	m.closed.WithLabelValues(c.code).Inc()
	m.duration.WithLabelValues(c.code, c.initiator).Observe(time.Since(c.opened).Seconds())
	return c.Conn.CloseNow()
}
