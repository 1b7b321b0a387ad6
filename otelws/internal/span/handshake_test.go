package span_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelws/otelws-go/otelws/internal/span"
)

func request(method, url string, change func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	r.Method = method
	if change != nil {
		change(r)
	}
	return r
}

const absent = "(absent)"

// valueOf returns the value of an attribute, or absent.
func valueOf(s sdktrace.ReadOnlySpan, key attribute.Key) string {
	if i := slices.IndexFunc(s.Attributes(), func(a attribute.KeyValue) bool { return a.Key == key }); i >= 0 {
		return s.Attributes()[i].Value.String()
	}
	return absent
}

// The span of a handshake follows the HTTP semantic conventions.
func TestHandshakeSpan(t *testing.T) {
	route := func(r *http.Request) { r.Pattern = "GET example.com/room/{id}" }
	for _, tt := range []struct {
		name   string
		r      *http.Request
		dial   bool
		status int
		span   string
		failed bool
		attrs  map[attribute.Key]string
	}{
		{"accepted", request("GET", "/ws", nil), false, 101, "GET", false,
			map[attribute.Key]string{"url.scheme": "http", "http.route": absent, "error.type": absent, "server.address": "example.com", "server.port": absent}},
		{"accepted over TLS", request("GET", "/ws", func(r *http.Request) { r.TLS = new(tls.ConnectionState) }), false, 101, "GET", false,
			map[attribute.Key]string{"url.scheme": "https"}},
		{"accepted on an IPv6 address", request("GET", "/ws", func(r *http.Request) { r.Host = "[::1]" }), false, 101, "GET", false,
			map[attribute.Key]string{"server.address": "::1", "server.port": absent}},
		{"accepted by a mux", request("GET", "/ws", route), false, 101, "GET /room/{id}", false,
			map[attribute.Key]string{"http.route": "/room/{id}"}},
		{"an invented method", request("BREW", "/ws", nil), false, 405, "HTTP", false,
			map[attribute.Key]string{"http.request.method": "_OTHER", "http.request.method_original": "BREW", "error.type": absent}},
		{"a method without a WebSocket", request("OPTIONS", "/ws", nil), false, 405, "OPTIONS", false,
			map[attribute.Key]string{"http.request.method": "OPTIONS", "http.request.method_original": absent}},
		{"refused", request("GET", "/ws", nil), false, 500, "GET", true, map[attribute.Key]string{"error.type": "500"}},
		{"unanswered", request("GET", "/ws", nil), false, 0, "GET", true,
			map[attribute.Key]string{"error.type": "no_response", "http.response.status_code": absent}},
		{"dialed", request("", "http://test/", nil), true, 101, "GET", false,
			map[attribute.Key]string{"http.request.method": "GET", "server.address": "test", "server.port": "80", "error.type": absent}},
		{"dialed ws", request("GET", "ws://test/", nil), true, 101, "GET", false, map[attribute.Key]string{"server.port": "80"}},
		{"dialed wss", request("GET", "wss://test/", nil), true, 101, "GET", false, map[attribute.Key]string{"server.port": "443"}},
		{"dialed https", request("GET", "https://test/", nil), true, 101, "GET", false, map[attribute.Key]string{"server.port": "443"}},
		{"dialed with a port", request("GET", "https://test:8443/", nil), true, 101, "GET", false,
			map[attribute.Key]string{"server.address": "test", "server.port": "8443"}},
		{"dialed to an IPv6 address", request("GET", "wss://[::1]/", nil), true, 101, "GET", false,
			map[attribute.Key]string{"server.address": "::1", "server.port": "443"}},
		{"refused to a client", request("GET", "http://test/", nil), true, 403, "GET", true, map[attribute.Key]string{"error.type": "403"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			s := span.NewSource(span.Scope{}, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), carriers, false, nil)
			begin := s.Accept
			if tt.dial {
				begin = s.Dial
			}
			h, passed := begin(tt.r)
			h.End(span.RouteOf(passed.Pattern), tt.status)
			got := spans.Ended()[0]
			if got.Name() != tt.span || (got.Status().Code == codes.Error) != tt.failed {
				t.Errorf("the span is %s with the status %+v", got.Name(), got.Status())
			}
			for key, want := range tt.attrs {
				if value := valueOf(got, key); value != want {
					t.Errorf("%s is %q, want %q", key, value, want)
				}
			}
		})
	}
}

// A parent in the headers takes precedence over a parent in the query. A query of more
// than 8 KiB is not searched.
func TestParentInQuery(t *testing.T) {
	const other = "1234567890abcdef1234567890abcdef"
	inQuery := "/?traceparent=00-" + other + "-b7ad6b7169203331-01"
	s := span.NewSource(span.Scope{}, sdktrace.NewTracerProvider(), carriers, true, nil)
	for name, tt := range map[string]struct {
		r    *http.Request
		want string
	}{
		"query":             {request("GET", inQuery, nil), other},
		"headers and query": {carrying(inQuery), traceID},
		"long query":        {request("GET", inQuery+"&x="+strings.Repeat("x", 9<<10), nil), ""},
	} {
		_, passed := s.Accept(tt.r)
		got := trace.SpanContextFromContext(passed.Context()).TraceID().String()
		if tt.want == "" && got == other || tt.want != "" && got != tt.want {
			t.Errorf("%s: the trace is %s", name, got)
		}
	}
}

// Without a provider of its own, a Source uses the global one at the time of each
// handshake.
func TestGlobalProviderChanges(t *testing.T) {
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	s := span.NewSource(span.Scope{}, nil, carriers, false, nil)
	for range 2 {
		spans := tracetest.NewSpanRecorder()
		otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
		for range 2 {
			h, _ := s.Accept(request("GET", "/", nil))
			h.End("", http.StatusSwitchingProtocols)
		}
		if n := len(spans.Ended()); n != 2 {
			t.Errorf("the global provider got %d spans, want 2", n)
		}
	}
}

// The span of the end is an error for the codes that mean a failure. An application
// defines the codes from 3000 on, so they mean none.
func TestCloseSpanStatus(t *testing.T) {
	for code, failed := range map[websocket.StatusCode]bool{
		1000: false, 1001: false, 1005: false, 1012: false, 1013: false, 3000: false, 3001: false, 4999: false,
		0: true, 1002: true, 1006: true, 1009: true, 1011: true, 1014: true, 2999: true,
	} {
		spans := tracetest.NewSpanRecorder()
		s := span.NewSource(span.Scope{}, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), carriers, false, nil)
		_, passed := s.Accept(carrying("/"))
		s.Close(passed.Context(), span.Closed{Code: code})
		if got := spans.Ended()[0]; (got.Status().Code == codes.Error) != failed || (valueOf(got, "error.type") != absent) != failed {
			t.Errorf("code %d: the status is %+v", code, got.Status())
		}
	}
}
