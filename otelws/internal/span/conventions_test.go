package span_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/span"
)

// Text from a peer is cut, and copied.
func TestAttributeLimit(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	c := span.NewSource(span.Scope{}, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), carriers, false, nil)
	long := strings.Repeat("é", 40<<10)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.Path = "/" + long
	r.Host = long + ":80"
	r.Header.Set("User-Agent", long)
	h, passed := c.Accept(r)
	h.End(passed, http.StatusForbidden)
	h, passed = c.Dial(r)
	h.End(passed, http.StatusForbidden)
	for _, ended := range spans.Ended() {
		long := 0
		for _, a := range ended.Attributes() {
			n := len(a.Value.String())
			if n > span.MaxAttribute || strings.ContainsRune(a.Value.String(), '\uFFFD') {
				t.Errorf("span %s: the attribute %s has %d bytes", ended.SpanKind(), a.Key, n)
			}
			if n > span.MaxAttribute/2 {
				long++
			}
		}
		if want := map[trace.SpanKind]int{trace.SpanKindServer: 3, trace.SpanKindClient: 1}[ended.SpanKind()]; long < want {
			t.Errorf("span %s: %d attributes are cut, want at least %d", ended.SpanKind(), long, want)
		}
	}
}
