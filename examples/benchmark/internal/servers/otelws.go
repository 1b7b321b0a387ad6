package servers

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// newOtelws returns otelws with the SDK and the Prometheus exporter.
func newOtelws(opts Options) (*Server, error) {
	exp, err := exporter.New()
	if err != nil {
		return nil, err
	}
	s, err := watched(exp.MeterProvider(), opts)
	if err != nil {
		return nil, err
	}
	s.Metrics = exp.Handler()
	s.Shutdown = exp.Shutdown
	return s, nil
}

// newNoop returns otelws with metrics turned off.
func newNoop(opts Options) (*Server, error) {
	return watched(noop.NewMeterProvider(), opts)
}

func watched(mp metric.MeterProvider, opts Options) (*Server, error) {
	ws, err := otelws.New(otelws.WithMeterProvider(mp))
	if err != nil {
		return nil, err
	}
	return &Server{
		Wrap: ws.Handler,
		Accept: func(w http.ResponseWriter, r *http.Request) (Conn, error) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return nil, err
			}
			if opts.Heartbeat > 0 {
				if err := ws.Heartbeat(r.Context(), otelws.Every(opts.Heartbeat)); err != nil {
					return nil, err
				}
			}
			return c, nil
		},
	}, nil
}

// newSampled returns newOtelws with a sampled span for every handshake, so that histograms keep
// exemplars.
func newSampled(opts Options) (*Server, error) {
	s, err := newOtelws(opts)
	if err != nil {
		return nil, err
	}
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	})
	watch := s.Wrap
	s.Wrap = func(next http.Handler) http.Handler {
		next = watch(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(trace.ContextWithSpanContext(r.Context(), span)))
		})
	}
	return s, nil
}

// newTwoReaders returns newOtelws with a second reader, as a push would need.
func newTwoReaders(opts Options) (*Server, error) {
	exp, err := exporter.New(exporter.WithReader(func(producer exporter.ProducerFunc) (sdkmetric.Reader, error) {
		push := discard{}
		return sdkmetric.NewPeriodicReader(push, sdkmetric.WithInterval(time.Second), sdkmetric.WithProducer(producer(push.Temporality))), nil
	}))
	if err != nil {
		return nil, err
	}
	s, err := watched(exp.MeterProvider(), opts)
	if err != nil {
		return nil, err
	}
	s.Metrics = exp.Handler()
	s.Shutdown = exp.Shutdown
	return s, nil
}

// discard is an exporter that discards everything.
type discard struct{}

func (discard) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (discard) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (discard) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (discard) ForceFlush(context.Context) error                          { return nil }
func (discard) Shutdown(context.Context) error                            { return nil }
