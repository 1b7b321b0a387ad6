package servers

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The bucket bounds, the same as in the README.
var (
	sizeBounds      = []float64{64, 256, 1024, 4096, 16384, 65536, 262144}
	rttBounds       = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	durationBounds  = []float64{1, 5, 15, 45, 60, 300, 900, 3600, 14400, 43200, 86400}
	handshakeBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
)

// abnormal is the code of a connection without a close frame.
const abnormal = "1006"

// closeCode returns the label for the error that ended the reading of a connection.
func closeCode(err error) string {
	code := websocket.CloseStatus(err)
	switch {
	case code == -1:
		return abnormal
	case code >= 3000: // peers choose them, and labels must be bounded
		return "other"
	}
	return strconv.Itoa(int(code))
}

// closePayload returns the payload size of a close frame.
func closePayload(frame websocket.CloseError) int {
	if frame.Code == websocket.StatusNoStatusRcvd {
		return 0
	}
	return 2 + len(frame.Reason)
}

// pingPayload is the payload size of coder/websocket's pings: a number, usually of one digit.
const pingPayload = 1

// frameBytes returns the size on the wire of a frame with a payload of n bytes.
func frameBytes(n int, masked bool) int {
	size := 2 + n
	if masked {
		size += 4
	}
	switch {
	case n > 0xffff:
		size += 8
	case n > 125:
		size += 2
	}
	return size
}

// statusWriter records the status of a refused handshake.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func newRegistry() (*prometheus.Registry, error) {
	reg := prometheus.NewRegistry()
	return reg, errors.Join(
		reg.Register(collectors.NewGoCollector()),
		reg.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
}

func metricsHandler(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
