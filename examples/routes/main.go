// Command routes counts connections by route, with net/http's ServeMux and with chi. Both set
// http.Request.Pattern to the route that matched. A path that a client invents does not create a
// new label value.
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

// Routes that are not declared here are recorded as http_route="other".
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
	log.Fatal(srv.ListenAndServe()) // for an orderly shutdown, see examples/echo
}

// newServeMux puts otelws around the mux, because the mux sets the pattern in the request that it
// receives.
func newServeMux(ws *otelws.Instrumentation) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chat/{room}", chat)
	mux.HandleFunc("GET /echo", chat)
	mux.HandleFunc("GET /internal", chat)
	return ws.Handler(mux)
}

// newChi uses otelws as a middleware of the router, because chi sets the pattern in a copy of the
// request, which a handler around the router would not see.
func newChi(ws *otelws.Instrumentation) http.Handler {
	r := chi.NewRouter()
	r.Use(ws.Handler)
	r.Route("/chat", func(r chi.Router) { r.Get("/{room}", chat) })
	r.Get("/echo", chat)
	r.Get("/internal", chat)
	return r
}

// chat echoes every message, like a chat room with a single member.
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
