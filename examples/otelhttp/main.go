// Command otelhttp has otelhttp and otelws around one mux. Each request has one
// SERVER span, from whichever of the two knows how it ends, and a WebSocket is
// no HTTP request of three hours in http.server.request.duration.
package main

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"golang.org/x/net/http/httpguts"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/otlp"
	"github.com/otelws/otelws-go/otelws"
)

func main() {
	push, err := otlp.New(context.Background()) // spans, where OTEL_EXPORTER_OTLP_ENDPOINT says
	if err != nil {
		log.Fatal(err)
	}
	exp, err := exporter.New(push.ExporterOptions()...)
	if err != nil {
		log.Fatal(err)
	}
	otel.SetMeterProvider(exp.MeterProvider())
	otel.SetTracerProvider(push.TracerProvider())
	otel.SetTextMapPropagator(push.Propagator())
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Addr: "localhost:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Fatal(exp.ListenAndServe(context.Background())) }()
	log.Fatal(srv.ListenAndServe()) // examples/echo shuts down in order
}

// newHandler takes the global providers, as both libraries do by default.
func newHandler() (http.Handler, error) {
	ws, err := otelws.New()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello\n"))
	})
	mux.HandleFunc("GET /echo", echo)
	return otelhttp.NewHandler(ws.Handler(mux), "", otelhttp.WithFilter(notWebSocket)), nil
}

// notWebSocket leaves to otelws what otelws watches. Without it otelhttp's span
// would last for as long as the connection, and so would its measurement.
func notWebSocket(r *http.Request) bool {
	return !httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket") ||
		!httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		typ, message, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), typ, message) != nil {
			return
		}
	}
}
