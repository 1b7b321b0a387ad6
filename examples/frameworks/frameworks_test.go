package frameworks

import (
	"bufio"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"
	ginzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzhttp"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5middleware "github.com/labstack/echo/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/urfave/negroni/v3"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// frameworks mount a handler at "/", behind the middlewares that the framework
// provides.
var frameworks = []struct {
	name  string
	mount func(h http.Handler) http.Handler
}{
	{"net-http", mountMux},
	{"gin", func(h http.Handler) http.Handler { return mountGin(h) }},
	{"gin-gzip", func(h http.Handler) http.Handler { return mountGin(h, ginzip.Gzip(ginzip.DefaultCompression)) }},
	{"echo4", func(h http.Handler) http.Handler { return mountEcho4(h) }},
	{"echo4-gzip", func(h http.Handler) http.Handler { return mountEcho4(h, echo4middleware.Gzip()) }},
	{"echo5", func(h http.Handler) http.Handler { return mountEcho5(h) }},
	{"echo5-gzip", func(h http.Handler) http.Handler { return mountEcho5(h, echo5middleware.Gzip()) }},
	{"chi", mountChi},
	{"gorilla-mux", mountGorilla},
	{"negroni", mountNegroni},
	{"otelhttp", func(h http.Handler) http.Handler { return otelhttp.NewHandler(h, "ws") }},
	{"promhttp", mountPromhttp},
	{"gzhttp", func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }},
	{"httpsnoop", mountHTTPSnoop},
	{"no-unwrap", func(h http.Handler) http.Handler { return wrapped(h, hideWriter) }},
	{"only-unwrap", func(h http.Handler) http.Handler { return wrapped(h, recordStatus) }},
	{"timeout", func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "too late") }},
}

func mountMux(h http.Handler) http.Handler {
	m := http.NewServeMux()
	m.Handle("/", h)
	return m
}

func mountGin(h http.Handler, middlewares ...gin.HandlerFunc) http.Handler {
	g := gin.New()
	g.Use(gin.LoggerWithWriter(io.Discard), gin.RecoveryWithWriter(io.Discard))
	g.Use(middlewares...)
	g.GET("/", gin.WrapH(h))
	return g
}

func mountEcho4(h http.Handler, middlewares ...echo4.MiddlewareFunc) http.Handler {
	e := echo4.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(echo4middleware.RequestID(), echo4middleware.Secure(), echo4middleware.Recover(),
		echo4middleware.BodyDump(func(echo4.Context, []byte, []byte) {}))
	e.Use(middlewares...)
	e.GET("/", echo4.WrapHandler(h))
	return e
}

func mountEcho5(h http.Handler, middlewares ...echo5.MiddlewareFunc) http.Handler {
	e := echo5.New()
	e.Logger = slog.New(slog.DiscardHandler)
	e.Use(echo5middleware.RequestID(), echo5middleware.Secure(), echo5middleware.Recover(),
		echo5middleware.BodyDump(func(*echo5.Context, []byte, []byte, error) {}))
	e.Use(middlewares...)
	e.GET("/", echo5.WrapHandler(h))
	return e
}

func mountChi(h http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(chimiddleware.RequestID, chimiddleware.Heartbeat("/ping"), chimiddleware.CleanPath, chimiddleware.NoCache,
		chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: log.New(io.Discard, "", 0)}),
		chimiddleware.Recoverer, chimiddleware.Compress(5), chimiddleware.Timeout(time.Minute))
	r.Handle("/", h)
	return r
}

func mountGorilla(h http.Handler) http.Handler {
	r := mux.NewRouter()
	r.Use(handlers.RecoveryHandler(handlers.RecoveryLogger(log.New(io.Discard, "", 0))), handlers.CompressHandler, handlers.CORS(),
		func(next http.Handler) http.Handler { return handlers.CombinedLoggingHandler(io.Discard, next) })
	r.Handle("/", h)
	return r
}

func mountNegroni(h http.Handler) http.Handler {
	recovery, logger := negroni.NewRecovery(), negroni.NewLogger()
	recovery.Logger, logger.ALogger = log.New(io.Discard, "", 0), log.New(io.Discard, "", 0)
	n := negroni.New(recovery, logger)
	n.UseHandler(h)
	return n
}

func mountPromhttp(h http.Handler) http.Handler {
	n := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests"}, []string{"code"})
	return promhttp.InstrumentHandlerCounter(n, h)
}

func mountHTTPSnoop(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { httpsnoop.CaptureMetrics(h, w, r) })
}

func wrapped(h http.Handler, wrap func(http.ResponseWriter) http.ResponseWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrap(w), r) })
}

// hidingWriter is the writer of an old middleware without Unwrap.
type hidingWriter struct{ http.ResponseWriter }

func hideWriter(w http.ResponseWriter) http.ResponseWriter { return hidingWriter{w} }

func (w hidingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if hj, ok := w.ResponseWriter.(http.Hijacker); ok {
		return hj.Hijack()
	}
	return nil, nil, http.ErrNotSupported
}

// statusRecorder is the writer of a middleware with Unwrap only. A library that
// asserts http.Hijacker rejects it.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func recordStatus(w http.ResponseWriter) http.ResponseWriter { return &statusRecorder{w, 0} }

func (w *statusRecorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
