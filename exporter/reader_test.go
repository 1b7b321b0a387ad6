package exporter_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelws/otelws-go/exporter"
)

// readerOf returns a ReaderFunc for a reader without a producer.
func readerOf(r sdkmetric.Reader, err error) exporter.ReaderFunc {
	return func(exporter.ProducerFunc) (sdkmetric.Reader, error) { return r, err }
}

// newWithReader returns an Exporter and one of its readers, which has a producer.
func newWithReader(t *testing.T, opts ...exporter.Option) (*exporter.Exporter, sdkmetric.Reader) {
	t.Helper()
	var reader sdkmetric.Reader
	exp := newExporter(t, append(opts, exporter.WithReader(func(p exporter.ProducerFunc) (sdkmetric.Reader, error) {
		reader = sdkmetric.NewManualReader(sdkmetric.WithProducer(p(sdkmetric.DefaultTemporalitySelector)))
		return reader, nil
	}))...)
	return exp, reader
}

func collect(t *testing.T, reader sdkmetric.Reader) map[string]metricdata.Aggregation {
	t.Helper()
	var data metricdata.ResourceMetrics
	check(t, reader.Collect(context.Background(), &data))
	metrics := map[string]metricdata.Aggregation{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			metrics[m.Name] = m.Data
		}
	}
	return metrics
}

func TestProducerGivesWhatScrapeShows(t *testing.T) {
	orders := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orders_total", Help: "Orders taken."}, []string{"kind"})
	orders.WithLabelValues("gift").Add(7)
	exp, reader := newWithReader(t, exporter.WithCollector(orders))
	record(t, sampled, exp)
	metrics := collect(t, reader)
	for _, name := range []string{"jobs.active", "jobs.done", "job.duration", "job.io"} {
		if metrics[name] == nil {
			t.Errorf("instrument %s is missing", name)
		}
	}
	sum, ok := metrics["orders_total"].(metricdata.Sum[float64])
	if !ok || !sum.IsMonotonic || len(sum.DataPoints) != 1 || sum.DataPoints[0].Value != 7 {
		t.Errorf("orders_total is %+v, want a counter of 7", metrics["orders_total"])
	}
	// The reader has each family of the scrape, and has the families of the
	// MeterProvider only once.
	for line := range strings.Lines(scrape(t, serveHandler(t, exp), textAccept)) {
		name, ok := strings.CutPrefix(line, "# TYPE ")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		_, bridged := metrics[name]
		if own := strings.HasPrefix(name, "job") || name == "target_info"; own == bridged {
			t.Errorf("%s: from the producer %v", name, bridged)
		}
	}
}

func TestProducerWithoutRuntimeMetrics(t *testing.T) {
	exp, reader := newWithReader(t, exporter.WithoutRuntimeMetrics())
	record(t, sampled, exp)
	for name := range collect(t, reader) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			t.Errorf("runtime metric %s", name)
		}
	}
}

func TestFailingCollectorCostsReaderOnlyItsOwn(t *testing.T) {
	for name, collector := range map[string]prometheus.Collector{
		"sensor unplugged": failing{prometheus.NewGauge(prometheus.GaugeOpts{Name: "sensor", Help: "A sensor."})},
		"sensor on fire":   panicking{prometheus.NewGauge(prometheus.GaugeOpts{Name: "sensor", Help: "A sensor."})},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			exp, reader := newWithReader(t, exporter.WithCollector(collector), exporter.WithLogger(log.logger()))
			record(t, sampled, exp)
			metrics := collect(t, reader)
			if metrics["go_goroutines"] == nil || metrics["jobs.active"] == nil {
				t.Errorf("the failing collector cost others: %d metrics are left", len(metrics))
			}
			if got := log.String(); !strings.Contains(got, name) {
				t.Errorf("log lacks %q:\n%s", name, got)
			}
		})
	}
}

type recordingReader struct {
	sdkmetric.Reader
	shutdowns int
}

func (r *recordingReader) Shutdown(ctx context.Context) error {
	r.shutdowns++
	return r.Reader.Shutdown(ctx)
}

func TestNewShutsDownReadersItMade(t *testing.T) {
	first := &recordingReader{Reader: sdkmetric.NewManualReader()}
	_, err := exporter.New(exporter.WithReader(readerOf(first, nil)), exporter.WithReader(readerOf(nil, errors.New("no such host"))))
	if err == nil || first.shutdowns != 1 {
		t.Errorf("New: %v, and %d shutdowns of the first reader, want an error and 1", err, first.shutdowns)
	}
}
