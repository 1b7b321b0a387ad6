package counted_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelws/otelws-go/exporter/counted"
	"github.com/otelws/otelws-go/otelws"
)

var push sdkmetric.Exporter = stopped{sdkmetric.DefaultAggregationSelector}

// With your own MeterProvider, give each reader a producer, and give the wrapped
// provider to the instrumentation. Names, units and values are the same as with
// package exporter. The scope is package otelws.
func Example_meterProvider() {
	histograms := counted.New()
	reader := sdkmetric.NewPeriodicReader(push, sdkmetric.WithProducer(histograms.Producer(push.Temporality)))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer provider.Shutdown(context.Background())

	ws, err := otelws.New(otelws.WithMeterProvider(histograms.Wrap(provider)))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/ws", ws.Handler(http.NotFoundHandler()))
	// Output:
}

// With your own /metrics, the metrics go into its registry. Without WithoutScopeInfo,
// each series also has the labels otel_scope_name, otel_scope_version and
// otel_scope_schema_url. Exemplars need EnableOpenMetrics.
func Example_metrics() {
	registry := prometheus.NewRegistry() // your registry, or prometheus.DefaultRegisterer
	histograms := counted.New()
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithProducer(histograms.Producer(sdkmetric.DefaultTemporalitySelector)))
	if err != nil {
		log.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	ws, err := otelws.New(otelws.WithMeterProvider(histograms.Wrap(provider)))
	if err != nil {
		log.Fatal(err)
	}
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	http.Handle("/chat", ws.Handler(http.NotFoundHandler()))

	printActive(metrics)
	// Output: ws_connections_active 0
}

func printActive(metrics http.Handler) {
	rec := httptest.NewRecorder()
	metrics.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(rec.Body.String()) {
		if strings.HasPrefix(line, "ws_connections_active") {
			fmt.Fprint(os.Stdout, line)
		}
	}
}
