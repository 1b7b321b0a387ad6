package otelws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws"
)

// The span links to the trace of an untrusted client. It does not continue that trace,
// and the client does not decide whether it is sampled.
func TestPublicEndpoint(t *testing.T) {
	for name, public := range map[string]func(*http.Request) bool{
		"all":  nil,
		"some": func(r *http.Request) bool { return r.Header.Get("Authorization") == "" },
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraced(t, sdktrace.ParentBased(sdktrace.AlwaysSample()), otelws.WithPublicEndpoint(public))
			seen := make(chan trace.SpanContext, 1)
			srv := httptest.NewServer(tr.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen <- trace.SpanContextFromContext(r.Context())
			})))
			defer srv.Close()
			for _, authorization := range []string{"", "Bearer t"} {
				header := http.Header{"Traceparent": {browserParent}}
				if authorization != "" {
					header.Set("Authorization", authorization)
				}
				_, _, _ = websocket.Dial(context.Background(), srv.URL, &websocket.DialOptions{HTTPHeader: header})
				trusted := public != nil && authorization != ""
				if got := (<-seen).TraceID().String() == browserParent[3:35]; got != trusted {
					t.Errorf("with Authorization %q, whether the client's trace continues: %v, want %v", authorization, got, trusted)
				}
			}
			for i, span := range tr.wait(t, 2) {
				if linked := len(span.Links) == 1; linked != (public == nil || i == 0) {
					t.Errorf("span %d has the links %v", i, span.Links)
				}
			}
		})
	}
}
