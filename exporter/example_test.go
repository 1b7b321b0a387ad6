package exporter_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

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

// An Exporter can have any other reader of the SDK, here one that would push every
// minute. The producer adds the metrics of the Go runtime and of the process.
func ExampleWithReader() {
	var push sdkmetric.Exporter = printer{}
	exp, err := exporter.New(exporter.WithReader(func(producer exporter.ProducerFunc) (sdkmetric.Reader, error) {
		return sdkmetric.NewPeriodicReader(push, sdkmetric.WithProducer(producer(push.Temporality))), nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	if err := exp.Shutdown(context.Background()); err != nil { // pushes the last time
		log.Fatal(err)
	}
	// Output: go_goroutines
}

type printer struct{}

func (printer) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

func (printer) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (printer) Export(_ context.Context, data *metricdata.ResourceMetrics) error {
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "go_goroutines" {
				fmt.Println(m.Name)
			}
		}
	}
	return nil
}

func (printer) ForceFlush(context.Context) error { return nil }

func (printer) Shutdown(context.Context) error { return nil }
