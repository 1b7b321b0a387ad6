// Command echo is a WebSocket echo server with metrics for Prometheus.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

var address, metricsAddress = "localhost:8080", "localhost:9091"

func main() {
	exp, err := exporter.New(exporter.WithListenAddress(metricsAddress))
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/echo", ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_ = ws.Heartbeat(r.Context()) // pings every 30 s
		for {
			typ, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, message) != nil {
				return
			}
		}
	})))

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	srv := &http.Server{Addr: address, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 2)
	go func() { failed <- exp.ListenAndServe(context.Background()) }()
	go func() { failed <- srv.ListenAndServe() }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		stop() // a second signal kills the process
	}
	ctx, stop = context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err = errors.Join(err, srv.Shutdown(ctx), ws.Drain(ctx), exp.Shutdown(ctx)); err != nil {
		log.Fatal(err)
	}
}
