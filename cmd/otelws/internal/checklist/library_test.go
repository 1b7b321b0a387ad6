package checklist_test

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/otlptranslator"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelws/otelws-go/cmd/otelws/internal/checklist"
	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// The checklist expects exactly the metrics and buckets of the library.
func TestExpectsTheLibrary(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	useLibrary(t, m.MeterProvider())
	s := scrapeOf(t, m)
	var got []checklist.Expectation
	for _, name := range s.Names() {
		if f := s.Families[name]; strings.HasPrefix(name, "ws_") {
			got = append(got, checklist.Expectation{Name: name, Type: strings.ToLower(f.GetType().String()), Bounds: bounds(f)})
		}
	}
	want := checklist.Expected()
	slices.SortFunc(want, func(a, b checklist.Expectation) int { return cmp.Compare(a.Name, b.Name) })
	if diff := gocmp.Diff(got, want); diff != "" {
		t.Errorf("the library -, the checklist +:\n%s", diff)
	}
}

// An exporter that keeps dots in names gets one warning, and all items check its
// metrics.
func TestDots(t *testing.T) {
	for _, strategy := range []otlptranslator.TranslationStrategyOption{otlptranslator.NoTranslation, otlptranslator.NoUTF8EscapingWithSuffixes} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithTranslationStrategy(strategy), otelprometheus.WithoutScopeInfo())
		if err != nil {
			t.Fatal(err)
		}
		useLibrary(t, sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
		metrics := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
		defer metrics.Close()
		r := run(t, options(t, metrics.URL))
		if i := item(t, r, "series"); len(i.Findings) != 1 || i.Status != checklist.Warning || len(i.Findings[0].Series) != len(checklist.Expected()) {
			t.Errorf("%v: %+v", strategy, i)
		}
		if i := item(t, r, "conservation"); i.Status != checklist.OK {
			t.Errorf("%v: %+v", strategy, i)
		}
		if r.Status != checklist.Warning {
			t.Errorf("%v:\n%s", strategy, text(t, r))
		}
	}
}

// useLibrary sends a message and a ping each way between two instrumented peers.
func useLibrary(t *testing.T, provider metric.MeterProvider) {
	t.Helper()
	ws, err := otelws.New(otelws.WithMeterProvider(provider))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	served := make(chan error, 1)
	var pings sync.WaitGroup
	pings.Add(2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			served <- err
			return
		}
		served <- exchange(ctx, c, &pings)
	}))
	defer server.Close()
	c, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmp.Or(exchange(ctx, c, &pings), <-served); err != nil {
		t.Fatal(err)
	}
}

// exchange returns when both peers have their pong.
func exchange(ctx context.Context, c *websocket.Conn, pings *sync.WaitGroup) error {
	defer c.CloseNow()
	left := sync.OnceFunc(pings.Done)
	defer left()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		return err
	}
	if _, _, err := c.Read(ctx); err != nil {
		return err
	}
	c.CloseRead(ctx)
	if err := c.Ping(ctx); err != nil {
		return err
	}
	left()
	pings.Wait()
	return nil
}

func scrapeOf(t *testing.T, m *otelwstest.Metrics) *scrape.Scrape {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	s := &scrape.Scrape{Families: map[string]*dto.MetricFamily{}}
	for _, f := range families {
		s.Families[f.GetName()] = f
	}
	return s
}

func bounds(f *dto.MetricFamily) (all []float64) {
	for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
		if !math.IsInf(b.GetUpperBound(), 1) {
			all = append(all, b.GetUpperBound())
		}
	}
	return all
}
