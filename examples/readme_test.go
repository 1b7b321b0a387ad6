// Package examples_test compiles and runs the code and the commands of the README and
// the guide.
package examples_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/counted"
	"github.com/otelws/otelws-go/exporter/otlp"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/tracing"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

func instrument(yourHandler http.Handler, failed chan error) error {
	exp, err := exporter.New()
	if err != nil {
		return err
	}
	go func() { failed <- exp.ListenAndServe(context.Background()) }()

	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		return err
	}
	http.Handle("/ws", ws.Handler(yourHandler))
	return nil
}

func shutDown(ctx context.Context, srv *http.Server, ws *otelws.Instrumentation, exp *exporter.Exporter) (err error) {
	err = errors.Join(srv.Shutdown(ctx), ws.Drain(ctx), exp.Shutdown(ctx))
	return err
}

func speaking(exp *exporter.Exporter) (*otelws.Instrumentation, error) {
	ws, err := otelws.New(
		otelws.WithMeterProvider(exp.MeterProvider()),
		otelws.WithHeartbeat(otelws.Every(30*time.Second)),
		otelws.WithDrain(otelws.DrainSpread(20*time.Second)),
	)
	return ws, err
}

func ownProvider(push sdkmetric.Exporter) (*otelws.Instrumentation, error) {
	histograms := counted.New()
	reader := sdkmetric.NewPeriodicReader(push,
		sdkmetric.WithProducer(histograms.Producer(push.Temporality)))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	ws, err := otelws.New(otelws.WithMeterProvider(histograms.Wrap(provider)))
	return ws, err
}

func ownRegistry(registry *prometheus.Registry) error {
	histograms := counted.New()
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry),
		otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithProducer(histograms.Producer(sdkmetric.DefaultTemporalitySelector)))
	if err != nil {
		return err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	ws, err := otelws.New(otelws.WithMeterProvider(histograms.Wrap(provider)))
	_ = ws
	return err
}

func trace(ctx context.Context, r *http.Request, c *websocket.Conn, answer func(context.Context, []byte) []byte) error {
	tr, err := tracing.New()
	if err != nil {
		return err
	}
	conn, err := tr.Conn(r.Context(), c, tracing.JSON())
	if err != nil {
		return err
	}
	err = conn.Serve(ctx, func(ctx context.Context, typ websocket.MessageType, data []byte) error {
		return conn.Send(ctx, typ, answer(ctx, data))
	})
	return err
}

func kinds(mp metric.MeterProvider) (*otelws.Instrumentation, *tracing.Instrumentation, error) {
	reader, kinds := messagekind.JSONMember("type"), []string{"chat", "typing"}
	ws, err := otelws.New(otelws.WithMeterProvider(mp), otelws.WithMessageKinds(reader, kinds...))
	if err != nil {
		return nil, nil, err
	}
	tr, err := tracing.New(tracing.WithMessageKinds(reader, kinds...))
	return ws, tr, err
}

func push(ctx, deadline context.Context) error {
	push, err := otlp.New(ctx)
	if err != nil {
		return err
	}
	exp, err := exporter.New(push.ExporterOptions()...)
	if err != nil {
		return err
	}
	defer otlp.Shutdown(deadline, push, exp)
	return nil
}

func attributes(planOf func(*http.Request) string) (*otelws.Instrumentation, error) {
	off := otelws.WithMeterProvider(noop.NewMeterProvider())
	ws, err := otelws.New(
		off,
		otelws.WithEnum("plan", planOf, "free", "pro"),
		otelws.WithRoutes("/chat/{room}", "/echo"),
		otelws.WithSubprotocols("chat.v1", "chat.v2"),
		otelws.WithCloseCodes(4001, 4002),
	)
	return ws, err
}

// New accepts the configuration in the README.
func TestReadmeAttributes(t *testing.T) {
	if _, err := attributes(nil); err != nil {
		t.Error(err)
	}
}

// Each Go line of the README and the guide is also a line of this file.
func TestReadmeCompiles(t *testing.T) {
	self, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	compiled := make(map[string]bool)
	for line := range strings.Lines(string(self)) {
		compiled[strings.TrimSpace(line)] = true
	}
	n := 0
	for _, page := range pages(t) {
		for _, b := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(page, -1) {
			n++
			for line := range strings.Lines(b[1]) {
				code, _, _ := strings.Cut(line, "  //")
				if code = strings.TrimSpace(code); !compiled[code] {
					t.Errorf("not compiled: %s", code)
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("README and guide have %d blocks of Go", n)
	}
}

// pages returns the README and the pages of the guide.
func pages(t *testing.T) (texts []string) {
	t.Helper()
	names, err := filepath.Glob("guide/*.md")
	if err != nil || len(names) < 4 {
		t.Fatalf("the guide has %d pages: %v", len(names), err)
	}
	for _, name := range append(names, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

var _ = []any{shutDown, instrument, speaking, ownProvider, ownRegistry, trace, kinds, push}

// boundsMeter keeps the bucket bounds of each histogram.
type boundsMeter struct {
	noop.Meter
	bounds map[string][]float64
}

func (m boundsMeter) Int64Histogram(name string, opts ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	m.bounds[name] = metric.NewInt64HistogramConfig(opts...).ExplicitBucketBoundaries()
	return noop.Int64Histogram{}, nil
}

func (m boundsMeter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	m.bounds[name] = metric.NewFloat64HistogramConfig(opts...).ExplicitBucketBoundaries()
	return noop.Float64Histogram{}, nil
}

type boundsProvider struct {
	noop.MeterProvider
	meter boundsMeter
}

func (p boundsProvider) Meter(string, ...metric.MeterOption) metric.Meter { return p.meter }

// The guide has the buckets of every histogram.
func TestGuideHasBuckets(t *testing.T) {
	guide, err := os.ReadFile("guide/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	p := boundsProvider{meter: boundsMeter{bounds: make(map[string][]float64)}}
	if _, err := otelws.New(otelws.WithMeterProvider(p), otelws.WithTCPMetrics()); err != nil {
		t.Fatal(err)
	}
	if _, err := tracing.New(tracing.WithMeterProvider(p)); err != nil {
		t.Fatal(err)
	}
	if len(p.meter.bounds) < 8 {
		t.Fatalf("only %d histograms", len(p.meter.bounds))
	}
	for name, bounds := range p.meter.bounds {
		var text []string
		for _, b := range bounds {
			text = append(text, strings.TrimPrefix(strconv.FormatFloat(b, 'f', -1, 64), "0"))
		}
		if list := strings.Join(text, ", "); !strings.Contains(string(guide), "| "+list) {
			t.Errorf("%s: the guide does not have %s", name, list)
		}
	}
}
