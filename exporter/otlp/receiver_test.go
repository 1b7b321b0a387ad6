package otlp_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// receiver is an OTLP backend for gRPC and HTTP.
type receiver struct {
	collectortrace.UnimplementedTraceServiceServer

	mu       sync.Mutex
	mood     mood
	changed  chan struct{} // closed at the next change of mood
	requests int
	tokens   []string // the header x-token of each request
	spans    []*tracepb.ResourceSpans
	metrics  []*metricspb.ResourceMetrics
}

type mood int

const (
	willing mood = iota
	hanging
	unavailable // the sender may retry
	refusing    // the sender must not retry
	slow        // answers when the mood changes
)

func (r *receiver) setMood(m mood) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed != nil {
		close(r.changed)
	}
	r.mood, r.changed = m, make(chan struct{})
}

// enter counts a request and holds it while the receiver hangs.
func (r *receiver) enter(ctx context.Context, token string) mood {
	r.mu.Lock()
	m, changed := r.mood, r.changed
	r.requests++
	r.tokens = append(r.tokens, token)
	r.mu.Unlock()
	if m == slow {
		select {
		case <-changed:
		case <-ctx.Done():
			return unavailable
		}
	}
	if m == hanging {
		<-ctx.Done()
	}
	return m
}

func (r *receiver) addSpans(spans []*tracepb.ResourceSpans) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, spans...)
}

func (r *receiver) addMetrics(metrics []*metricspb.ResourceMetrics) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics = append(r.metrics, metrics...)
}

func (r *receiver) requestCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// spanNames returns the names of all received spans, and the resource of the last
// one.
func (r *receiver) spanNames() (names []string, resource map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range r.spans {
		resource = attributes(rs.GetResource().GetAttributes())
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				names = append(names, s.GetName())
			}
		}
	}
	return names, resource
}

// lastMetrics returns the metrics of the last export by name, and its resource.
func (r *receiver) lastMetrics() (metrics map[string]*metricspb.Metric, resource map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	metrics = map[string]*metricspb.Metric{}
	if len(r.metrics) == 0 {
		return metrics, nil
	}
	last := r.metrics[len(r.metrics)-1]
	for _, sm := range last.GetScopeMetrics() {
		for _, m := range sm.GetMetrics() {
			metrics[m.GetName()] = m
		}
	}
	return metrics, attributes(last.GetResource().GetAttributes())
}

// total returns the sum of a counter's data points in all exports.
func (r *receiver) total(name string) (sum float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rm := range r.metrics {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				if m.GetName() == name {
					sum += number(m)
				}
			}
		}
	}
	return sum
}

func attributes(kvs []*commonpb.KeyValue) map[string]string {
	attrs := map[string]string{}
	for _, kv := range kvs {
		attrs[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return attrs
}

func (m mood) grpcError() error {
	switch m {
	case hanging, unavailable:
		return status.Error(codes.Unavailable, "overloaded")
	case refusing:
		return status.Error(codes.InvalidArgument, "not for me")
	}
	return nil
}

func (m mood) httpStatus() int {
	switch m {
	case hanging, unavailable:
		return http.StatusServiceUnavailable
	case refusing:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

func tokenOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("x-token"); len(v) > 0 {
		return v[0]
	}
	return ""
}

func (r *receiver) Export(ctx context.Context, req *collectortrace.ExportTraceServiceRequest) (*collectortrace.ExportTraceServiceResponse, error) {
	if err := r.enter(ctx, tokenOf(ctx)).grpcError(); err != nil {
		return nil, err
	}
	r.addSpans(req.GetResourceSpans())
	return &collectortrace.ExportTraceServiceResponse{}, nil
}

type metricsService struct {
	collectormetrics.UnimplementedMetricsServiceServer
	*receiver
}

func (s metricsService) Export(ctx context.Context, req *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	if err := s.enter(ctx, tokenOf(ctx)).grpcError(); err != nil {
		return nil, err
	}
	s.addMetrics(req.GetResourceMetrics())
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	if code := r.enter(req.Context(), req.Header.Get("x-token")).httpStatus(); code != http.StatusOK {
		http.Error(w, "not now", code)
		return
	}
	switch req.URL.Path {
	case "/v1/traces":
		var spans collectortrace.ExportTraceServiceRequest
		err = proto.Unmarshal(body, &spans)
		r.addSpans(spans.GetResourceSpans())
	case "/v1/metrics":
		var metrics collectormetrics.ExportMetricsServiceRequest
		err = proto.Unmarshal(body, &metrics)
		r.addMetrics(metrics.GetResourceMetrics())
	default:
		http.NotFound(w, req)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// startReceiver starts a receiver, and sets its address in the environment.
func startReceiver(t *testing.T, protocol string) *receiver {
	t.Helper()
	r := &receiver{}
	var endpoint string
	if protocol == "grpc" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		srv := grpc.NewServer()
		collectortrace.RegisterTraceServiceServer(srv, r)
		collectormetrics.RegisterMetricsServiceServer(srv, metricsService{receiver: r})
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		t.Cleanup(func() {
			srv.Stop()
			check(t, <-served)
		})
		endpoint = "http://" + l.Addr().String()
	} else {
		srv := httptest.NewServer(r)
		t.Cleanup(srv.Close)
		endpoint = srv.URL
	}
	setenv(t, "OTEL_EXPORTER_OTLP_PROTOCOL", protocol, "OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	return r
}
