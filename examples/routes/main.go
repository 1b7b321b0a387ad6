// Command routes counts connections by route, for net/http's ServeMux and for
// chi. Both say in http.Request.Pattern which route matched, and a room that
// somebody makes up is no new label value.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// What is not declared here is http_route="other".
var routes = otelws.WithRoutes("/chat/{room}", "/echo")

func main() {
	useChi := flag.Bool("chi", false, "route with chi instead of http.ServeMux")
	flag.Parse()
	exp, err := exporter.New()
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(routes, otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		log.Fatal(err)
	}
	handler := newServeMux(ws)
	if *useChi {
		handler = newChi(ws)
	}
	srv := &http.Server{Addr: "localhost:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Fatal(exp.ListenAndServe(context.Background())) }()
	log.Fatal(srv.ListenAndServe()) // examples/echo shuts down in order
}

// newServeMux has otelws around the mux, which sets the pattern in the request
// that it is given.
func newServeMux(ws *otelws.Instrumentation) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chat/{room}", chat)
	mux.HandleFunc("GET /echo", chat)
	mux.HandleFunc("GET /internal", chat)
	return ws.Handler(mux)
}

// newChi has otelws among the middlewares of the router: chi sets the pattern in
// a copy of the request, which nothing around the router sees.
func newChi(ws *otelws.Instrumentation) http.Handler {
	r := chi.NewRouter()
	r.Use(ws.Handler)
	r.Route("/chat", func(r chi.Router) { r.Get("/{room}", chat) })
	r.Get("/echo", chat)
	r.Get("/internal", chat)
	return r
}

// chat sends everything back, as if nobody else were in the room.
func chat(w http.ResponseWriter, r *http.Request) {
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
