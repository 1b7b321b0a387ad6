package exporter_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/otelws/otelws-go/exporter"
)

func TestNewRefuses(t *testing.T) {
	missing := t.TempDir() + "/missing.yml"
	for _, tt := range []struct {
		name string
		opt  exporter.Option
		want []string
	}{
		{"nil option", nil, []string{"option", "nil"}},
		{"empty address", exporter.WithListenAddress(""), []string{"listen address", "host:port"}},
		{"no port", exporter.WithListenAddress("localhost"), []string{`"localhost"`, "host:port"}},
		{"empty port", exporter.WithListenAddress("localhost:"), []string{`"localhost:"`, "host:port"}},
		{"port too high", exporter.WithListenAddress("localhost:65536"), []string{`"localhost:65536"`, "0 to 65535"}},
		{"zero timeout", exporter.WithScrapeTimeout(0), []string{"scrape timeout 0s", "positive"}},
		{"negative timeout", exporter.WithScrapeTimeout(-time.Second), []string{"scrape timeout -1s", "positive"}},
		{"no scrapes", exporter.WithMaxScrapes(0), []string{"0 concurrent scrapes", "at least 1"}},
		{"nil reader function", exporter.WithReader(nil), []string{"reader", "nil"}},
		{"nil reader", exporter.WithReader(readerOf(nil, nil)), []string{"reader", "nil"}},
		{"reader fails", exporter.WithReader(readerOf(nil, errors.New("no such host"))), []string{"reader", "no such host"}},
		{"nil view", exporter.WithView(nil), []string{"view", "nil"}},
		{"nil collector", exporter.WithCollector(nil), []string{"collector", "nil"}},
		{"collector twice", exporter.WithCollector(collectors.NewGoCollector()), []string{"register collector", "one collector"}},
		{
			"promhttp's name taken",
			exporter.WithCollector(prometheus.NewCounter(prometheus.CounterOpts{Name: "promhttp_metric_handler_errors_total"})),
			[]string{"register collector", "promhttp_metric_handler_errors_total"},
		},
		{"web configuration missing", exporter.WithWebConfigFile(missing), []string{"web configuration", missing}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exp, err := exporter.New(tt.opt)
			if err == nil || exp != nil {
				t.Fatalf("New = %v, %v; want an error alone", exp, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []exporter.Option
	}{
		{"nothing", nil},
		{"any port", []exporter.Option{exporter.WithListenAddress("127.0.0.1:0")}},
		{"every interface", []exporter.Option{exporter.WithListenAddress(":9091")}},
		{"IPv6", []exporter.Option{exporter.WithListenAddress("[::1]:9091")}},
		{"nil logger", []exporter.Option{exporter.WithLogger(nil)}},
		{"nil resource", []exporter.Option{exporter.WithResource(nil)}},
		{"no web configuration", []exporter.Option{exporter.WithWebConfigFile("")}},
		{"own runtime collector", []exporter.Option{
			exporter.WithoutRuntimeMetrics(), exporter.WithCollector(collectors.NewGoCollector()),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantSeries(t, scrape(t, serveHandler(t, newExporter(t, tt.opts...)), textAccept), "target_info{")
		})
	}
}
