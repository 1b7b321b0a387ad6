// Command otelhttp uses otelhttp and otelws around one mux. Each request has one SERVER span: a
// WebSocket handshake from otelws, any other request from otelhttp. A WebSocket does not appear as
// a request of three hours in http.server.request.duration.
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
	push, err := otlp.New(context.Background()) // exports spans to OTEL_EXPORTER_OTLP_ENDPOINT
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
	log.Fatal(srv.ListenAndServe()) // for an orderly shutdown, see examples/echo
}

// newHandler uses the global providers, which are the default of both libraries.
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

// notWebSocket is a filter that makes otelhttp ignore WebSocket handshakes, which otelws records.
// Without it, otelhttp's span and duration would last as long as the connection.
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
