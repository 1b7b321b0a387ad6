package otlp_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/exporter/otlp"
)

const longTime = "3600000" // in ms; so only a deadline ends an export

func TestBackendInTrouble(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for name, m := range map[string]mood{"hanging": hanging, "unavailable": unavailable, "refusing": refusing, "down": -1} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				if m >= 0 {
					startReceiver(t, protocol).setMood(m)
				} else {
					l, err := net.Listen("tcp", "127.0.0.1:0")
					check(t, err)
					l.Close()
					setenv(t, "OTEL_EXPORTER_OTLP_PROTOCOL", protocol, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
				}
				setenv(t, "OTEL_BSP_MAX_QUEUE_SIZE", "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16",
					"OTEL_BSP_EXPORT_TIMEOUT", longTime, "OTEL_EXPORTER_OTLP_TIMEOUT", longTime, "OTEL_METRIC_EXPORT_TIMEOUT", longTime)
				push := newPush(t)
				exp := newExporter(t, push)
				const spans = 2000
				endSpans(push, spans) // a full queue must not block this

				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- otlp.Shutdown(ctx, push, exp) }()
				select {
				case err := <-ended:
					if err == nil {
						t.Error("Shutdown reports nothing of what was lost")
					}
				case <-time.After(waitLimit):
					t.Fatal("Shutdown did not keep its deadline")
				}
				waitFor(t, "all spans to be accounted for", func() bool {
					s, _ := scrape(t, exp)
					dropped, failed := s[`otlp_spans_dropped_total{reason="queue_full"}`], s[`otlp_spans_dropped_total{reason="export_failed"}`]
					return s["otlp_spans_exported_total"] == 0 && failed >= 1 && dropped+failed == spans &&
						s["otlp_metric_exports_failed_total"] == 1
				})
			})
		}
	}
}

// A protocol with the port of the other one is a common mistake.
func TestPortOfOtherProtocol(t *testing.T) {
	for _, tt := range []struct{ protocol, port, want string }{
		{"http/protobuf", "4317", "(port 4317 is usually for gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use port 4318)"},
		{"grpc", "4318", "(port 4318 is usually for HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use port 4317)"},
		{"http/protobuf", "4318", ""},
		{"grpc", "4317", ""},
	} {
		t.Run(tt.protocol+" "+tt.port, func(t *testing.T) {
			// Nothing is sent: TCP has no broadcast.
			setenv(t, "OTEL_EXPORTER_OTLP_PROTOCOL", tt.protocol, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://255.255.255.255:"+tt.port,
				"OTEL_EXPORTER_OTLP_TIMEOUT", "50")
			var log bytes.Buffer
			push := newPush(t, otlp.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			exp := newExporter(t, push)
			endSpans(push, 1)
			err := otlp.Shutdown(testContext(t), push, exp)
			if err == nil || strings.Contains(err.Error(), "usually") != (tt.want != "") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error of metrics is %v, want %q", err, tt.want)
			}
			if text := log.String(); strings.Contains(text, "usually") != (tt.want != "") || !strings.Contains(text, tt.want) {
				t.Errorf("the log of spans is %q, want %q", text, tt.want)
			}
		})
	}
}

func TestCountersCatchUpAfterOutage(t *testing.T) {
	r := startReceiver(t, "http/protobuf")
	r.setMood(refusing)
	setenv(t, "OTEL_METRIC_EXPORT_INTERVAL", "5")
	exp := newExporter(t, newPush(t))
	record(t, exp)
	waitFor(t, "failed exports", func() bool { return r.requestCount() > 2 })
	record(t, exp)
	r.setMood(willing)
	waitFor(t, "both", func() bool {
		metrics, _ := r.lastMetrics()
		return number(metrics["jobs.done"]) == 10
	})
}

type fakePart func(context.Context) error

func (f fakePart) Shutdown(ctx context.Context) error { return f(ctx) }

func TestShutdownSharesTheTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	dead := fakePart(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	var left error
	called := false
	err := otlp.Shutdown(ctx, dead, fakePart(func(ctx context.Context) error {
		called, left = true, ctx.Err()
		return errors.New("last one's")
	}))
	if !called || left != nil {
		t.Errorf("the second part was called %v, with a context that is %v", called, left)
	}
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "context deadline exceeded\nlast one's" {
		t.Errorf("error %v, want both parts'", err)
	}
}

func TestCallbackInTrouble(t *testing.T) {
	release := make(chan struct{})
	for _, tt := range []struct {
		name     string
		callback metric.Int64Callback
		pushed   bool
	}{
		{"error", func(context.Context, metric.Int64Observer) error { return errors.New("sensor unplugged") }, true},
		{"panic", func(context.Context, metric.Int64Observer) error { panic("sensor on fire") }, true},
		{"hangs", func(context.Context, metric.Int64Observer) error { <-release; return nil }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startReceiver(t, "grpc")
			push := newPush(t)
			exp := newExporter(t, push)
			record(t, exp)
			_, err := exp.MeterProvider().Meter("example.com/failing").Int64ObservableGauge("sensor", metric.WithInt64Callback(tt.callback))
			check(t, err)
			if tt.name == "hangs" {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				if err := exp.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown: %v", err)
				}
				close(release)
				return
			}
			if err := exp.Shutdown(testContext(t)); err == nil != tt.pushed {
				t.Errorf("Shutdown: %v", err)
			}
			metrics, _ := r.lastMetrics()
			if got := metrics["jobs.done"] != nil && metrics["go_goroutines"] != nil; got != tt.pushed {
				t.Errorf("the rest was pushed: %v, want %v", got, tt.pushed)
			}
		})
	}
}

// noticed is a context that reports reads of its deadline.
type noticed struct {
	context.Context
	seen func()
}

func (n noticed) Deadline() (time.Time, bool) {
	n.seen()
	return n.Context.Deadline()
}

// Shutdown waits for an export in progress, because a later export does not contain
// its deltas.
func TestExportUnderWayEnds(t *testing.T) {
	r := startReceiver(t, "http/protobuf")
	r.setMood(slow)
	setenv(t, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", "OTEL_METRIC_EXPORT_INTERVAL", "5")
	exp := newExporter(t, newPush(t))
	record(t, exp)
	waitFor(t, "an export", func() bool { return r.requestCount() == 1 })
	shuttingDown := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- exp.Shutdown(noticed{testContext(t), sync.OnceFunc(func() { close(shuttingDown) })})
	}()
	<-shuttingDown
	r.setMood(willing)
	check(t, <-ended)
	if got := r.total("jobs.done"); got != 5 {
		t.Errorf("the deltas of jobs.done come to %v, want 5", got)
	}
}
