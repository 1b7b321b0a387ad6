package exporter_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/exporter"
)

func Example() {
	ctx := context.Background()
	exp, err := exporter.New()
	if err != nil {
		log.Fatal(err)
	}
	defer exp.Shutdown(ctx)

	done, err := exp.MeterProvider().Meter("example.com/jobs").Int64Counter("jobs.done",
		metric.WithUnit("{job}"), metric.WithDescription("Jobs that ended, by result."))
	if err != nil {
		log.Fatal(err)
	}
	done.Add(ctx, 3, metric.WithAttributes(attribute.String("result", "ok")))

	// A program calls exp.ListenAndServe(ctx) here, and Prometheus sends the request.
	rec := httptest.NewRecorder()
	exp.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics?name[]=jobs_done_total", nil))
	fmt.Print(rec.Body)
	// Output:
	// # HELP jobs_done_total Jobs that ended, by result.
	// # TYPE jobs_done_total counter
	// jobs_done_total{result="ok"} 3
}
