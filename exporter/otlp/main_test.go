package otlp_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/exporter/otlp"
)

// waitLimit is the timeout for events that must happen. Only a failing test waits
// this long.
const waitLimit = 20 * time.Second

func TestMain(m *testing.M) {
	for _, kv := range os.Environ() {
		if key, _, _ := strings.Cut(kv, "="); strings.HasPrefix(key, "OTEL_") {
			os.Unsetenv(key)
		}
	}
	// The SDK reads this variable once per process, so it is set here.
	os.Setenv("OTEL_SERVICE_NAME", "shop")
	os.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=shop-1")
	goleak.VerifyTestMain(m)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func setenv(t *testing.T, kvs ...string) {
	t.Helper()
	for i := 0; i < len(kvs); i += 2 {
		t.Setenv(kvs[i], kvs[i+1])
	}
}

// newPush returns an Exporter that is cleaned up even if its backend hangs.
func newPush(t *testing.T, opts ...otlp.Option) *otlp.Exporter {
	t.Helper()
	push, err := otlp.New(context.Background(), append([]otlp.Option{otlp.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = push.Shutdown(ctx)
	})
	return push
}

func newExporter(t *testing.T, push *otlp.Exporter, opts ...exporter.Option) *exporter.Exporter {
	t.Helper()
	opts = append(append(push.ExporterOptions(), exporter.WithLogger(slog.New(slog.DiscardHandler))), opts...)
	exp, err := exporter.New(opts...)
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = exp.Shutdown(ctx)
	})
	return exp
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	t.Cleanup(cancel)
	return ctx
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(waitLimit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("gave up waiting for %s", what)
}

// scrape returns the samples of a scrape by name and labels, and the names of the
// families.
func scrape(t *testing.T, exp *exporter.Exporter) (samples map[string]float64, families []string) {
	t.Helper()
	rec := httptest.NewRecorder()
	exp.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	samples = map[string]float64{}
	for line := range strings.Lines(rec.Body.String()) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			families = append(families, name)
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		check(t, err)
		samples[line[:i]] = v
	}
	return samples, families
}

func endSpans(push *otlp.Exporter, n int) {
	tracer := push.TracerProvider().Tracer("example.com/test")
	for range n {
		_, span := tracer.Start(context.Background(), "handshake")
		span.SetAttributes(attribute.String("http.route", "/echo"))
		span.End()
	}
}
