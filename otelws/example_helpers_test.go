package otelws_test

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// The examples share a server, a provider and a look at the metrics.

// watched returns an Instrumentation and the Exporter that shows its metrics.
func watched(opts ...otelws.Option) (*otelws.Instrumentation, *exporter.Exporter) {
	exp, err := exporter.New(exporter.WithoutRuntimeMetrics())
	if err != nil {
		log.Fatal(err)
	}
	ws, err := otelws.New(append(opts, otelws.WithMeterProvider(exp.MeterProvider()))...)
	if err != nil {
		log.Fatal(err)
	}
	return ws, exp
}

// start serves h and returns its URL. The function stop waits for the handlers.
func start(h http.Handler) (url string, stop func()) {
	var handlers sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		h.ServeHTTP(w, r)
	}))
	return srv.URL, func() {
		handlers.Wait()
		srv.Close()
	}
}

// startRaw calls serve for each connection of l. The function stop waits for the calls.
func startRaw(l net.Listener, serve func(net.Conn)) (stop func()) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	return func() {
		_ = l.Close()
		all.Wait()
	}
}

// show prints those samples of a scrape that begin with one of series.
func show(exp *exporter.Exporter, series ...string) {
	scrape := httptest.NewRecorder()
	exp.Handler().ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for lines := bufio.NewScanner(scrape.Body); lines.Scan(); {
		for _, s := range series {
			if strings.HasPrefix(lines.Text(), s) {
				fmt.Println(lines.Text())
			}
		}
	}
}
