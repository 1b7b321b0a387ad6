package servers

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// fiveMetrics are the metrics with which a team usually begins, written by hand with client_golang:
// connections, received messages and round trips.
type fiveMetrics struct {
	active   prometheus.Gauge
	opened   prometheus.Counter
	closed   *prometheus.CounterVec
	messages prometheus.Histogram
	rtt      prometheus.Histogram
}

func newFiveMetrics(reg prometheus.Registerer) *fiveMetrics {
	f := promauto.With(reg)
	return &fiveMetrics{
		active: f.NewGauge(prometheus.GaugeOpts{
			Name: "ws_connections_active", Help: "Open WebSocket connections."}),
		opened: f.NewCounter(prometheus.CounterOpts{
			Name: "ws_connections_opened_total", Help: "WebSocket connections opened."}),
		closed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ws_connections_closed_total", Help: "WebSocket connections closed, by close code."}, []string{"code"}),
		messages: f.NewHistogram(prometheus.HistogramOpts{
			Name: "ws_message_bytes", Help: "Payload size of received messages.", Buckets: sizeBounds}),
		rtt: f.NewHistogram(prometheus.HistogramOpts{
			Name: "ws_heartbeat_rtt_seconds", Help: "Time from a ping to its pong.", Buckets: rttBounds}),
	}
}

// newPrometheusFive returns coder/websocket with fiveMetrics.
func newPrometheusFive(opts Options) (*Server, error) {
	reg, err := newRegistry()
	if err != nil {
		return nil, err
	}
	m := newFiveMetrics(reg)
	return &Server{
		Metrics: metricsHandler(reg),
		Accept: func(w http.ResponseWriter, r *http.Request) (Conn, error) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return nil, err
			}
			m.opened.Inc()
			m.active.Inc()
			if opts.Heartbeat > 0 {
				go every(r.Context(), opts.Heartbeat, func(ctx context.Context) error {
					start := time.Now()
					err := c.Ping(ctx)
					if err == nil {
						m.rtt.Observe(time.Since(start).Seconds())
					}
					return err
				})
			}
			return &fiveConn{Conn: c, metrics: m, code: abnormal}, nil
		},
	}, nil
}

type fiveConn struct {
	*websocket.Conn
	metrics *fiveMetrics
	code    string
}

func (c *fiveConn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	typ, message, err := c.Conn.Read(ctx)
	if err != nil {
		c.code = closeCode(err)
		return typ, message, err
	}
	c.metrics.messages.Observe(float64(len(message)))
	return typ, message, nil
}

func (c *fiveConn) CloseNow() error {
	c.metrics.active.Dec()
	c.metrics.closed.WithLabelValues(c.code).Inc()
	return c.Conn.CloseNow()
}
