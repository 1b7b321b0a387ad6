package span_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
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
	r.RemoteAddr = long + ":81"
	r.Header.Set("User-Agent", long)
	h, _ := c.Accept(r)
	h.End("", http.StatusForbidden)
	h, _ = c.Dial(r)
	h.End("", http.StatusForbidden)
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
		if want := map[trace.SpanKind]int{trace.SpanKindServer: 4, trace.SpanKindClient: 1}[ended.SpanKind()]; long < want {
			t.Errorf("span %s: %d attributes are cut, want at least %d", ended.SpanKind(), long, want)
		}
	}
}

// Spans are exported even if a peer has sent bytes that are not UTF-8.
func TestAttributesAreUTF8(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	c := span.NewSource(span.Scope{}, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), carriers, false, nil)
	r := httptest.NewRequest(http.MethodGet, "/caf%C3%A9/%ff", nil)
	r.Host = "a\xff:80"
	r.RemoteAddr = "b\xff:81" // from a header, as gorilla/handlers.ProxyHeaders sets it
	r.Header.Set("User-Agent", "c\xff\xfed")
	h, _ := c.Accept(r)
	h.End("", http.StatusForbidden)
	h, _ = c.Dial(r)
	h.End("", http.StatusForbidden)
	want := map[attribute.Key]string{
		"url.path": "/café/\uFFFD", "server.address": "a\uFFFD", "network.peer.address": "b\uFFFD", "user_agent.original": "c\uFFFDd",
	}
	for _, ended := range spans.Ended() {
		for _, a := range ended.Attributes() {
			text := a.Value.String()
			if !utf8.ValidString(text) || want[a.Key] != "" && text != want[a.Key] {
				t.Errorf("span %s: the attribute %s is %q, want %q", ended.SpanKind(), a.Key, text, want[a.Key])
			}
		}
	}
	if n := len(spans.Ended()); n != 2 {
		t.Errorf("%d spans, want 2", n)
	}
}
