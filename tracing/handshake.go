package tracing

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// HandshakeSpan is the span of a handshake in progress. The nil one is none.
type HandshakeSpan struct {
	span   trace.Span
	server bool
	method string
}

// Accept begins the SERVER span of the handshake that r asks for, by the HTTP
// conventions, and returns r with its span context. What the context then holds
// is no span that records: the handshake's ends long before the handler does.
// Attributes whose text the client chose are cut after [MaxAttribute] bytes.
//
// It returns nil where nothing records spans, and then r itself or, where r
// carries a context, a copy that has it. opts may set the time of the span's start.
func (c *Connections) Accept(r *http.Request, opts ...trace.SpanStartOption) (*HandshakeSpan, *http.Request) {
	tracer := c.tracer()
	if tracer == nil {
		if c.carried(c.carrier(), r) {
			parent, _ := c.parent(r)
			r = r.WithContext(parent)
		}
		return nil, r
	}
	parent, link := c.parent(r)
	h := &HandshakeSpan{server: true, method: methodName(r.Method)}
	opts = append(opts, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(acceptAttributes(r)...))
	if link.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: link}))
	}
	_, span := tracer.Start(parent, spanName(h.method, r.Pattern), opts...)
	h.span = span
	return h, r.WithContext(flat(parent, span))
}

// Dial begins the CLIENT span of the handshake that r asks for, and returns a
// copy of r with its span context, in its headers as well.
//
// It returns nil where nothing records spans, and then r itself or, where its
// context has something to carry, a copy with that in its headers. opts may set the
// time of the span's start.
func (c *Connections) Dial(r *http.Request, opts ...trace.SpanStartOption) (*HandshakeSpan, *http.Request) {
	tracer := c.tracer()
	if tracer == nil {
		ctx := r.Context()
		if trace.SpanContextFromContext(ctx).IsValid() || baggage.FromContext(ctx).Len() > 0 {
			r = c.inject(ctx, r.Clone(ctx))
		}
		return nil, r
	}
	h := &HandshakeSpan{method: methodName(r.Method)}
	opts = append(opts, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(dialAttributes(r)...))
	ctx, span := tracer.Start(r.Context(), h.method, opts...)
	h.span = span
	return h, c.inject(ctx, r.Clone(flat(r.Context(), span)))
}

// inject writes ctx into the headers of r, which is nobody else's.
func (c *Connections) inject(ctx context.Context, r *http.Request) *http.Request {
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	c.carrier().Inject(ctx, propagation.HeaderCarrier(r.Header))
	return r
}

// End ends the span with the status of the response, 0 standing for none. r is
// the request as the handler saw it: by then a mux has set its pattern.
//
// A status of 500 and above is an error of a server, one of 400 and above, or
// any but 101, of a client that asked for a WebSocket.
func (h *HandshakeSpan) End(r *http.Request, status int) {
	if h == nil {
		return
	}
	defer h.span.End()
	if !h.span.IsRecording() {
		return
	}
	if route := routeOf(r.Pattern); h.server && route != "" {
		h.span.SetName(spanName(h.method, r.Pattern))
		h.span.SetAttributes(httpRoute(route))
	}
	if status != 0 {
		h.span.SetAttributes(responseStatus(status))
	}
	switch failed := status != http.StatusSwitchingProtocols; {
	case status == 0:
		h.span.SetAttributes(errorNoResponse)
		h.span.SetStatus(codes.Error, "no response")
	case status >= 500, failed && !h.server:
		h.span.SetAttributes(errorStatus(status))
		h.span.SetStatus(codes.Error, "")
	}
}

// Abandon ends the span of a handshake whose response nobody sees.
func (h *HandshakeSpan) Abandon() {
	if h != nil {
		h.span.End()
	}
}

// methods are those whose names may stand in a span's.
var methods = []string{http.MethodGet, http.MethodConnect, http.MethodPost, http.MethodPut, http.MethodHead}

func methodName(method string) string {
	switch {
	case method == "":
		return http.MethodGet
	case slices.Contains(methods, method):
		return method
	}
	return "HTTP"
}

func spanName(method, pattern string) string {
	if route := routeOf(pattern); route != "" {
		return method + " " + route
	}
	return method
}

func acceptAttributes(r *http.Request) []attribute.KeyValue {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	attrs := append(make([]attribute.KeyValue, 0, 9), requestMethod(r.Method), urlPath(r.URL.Path), urlScheme(scheme),
		protocolVersion(r.ProtoMajor, r.ProtoMinor))
	attrs = appendServer(attrs, r.Host)
	attrs = appendPeer(attrs, r.RemoteAddr)
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, userAgent(agent))
	}
	return attrs
}

func dialAttributes(r *http.Request) []attribute.KeyValue {
	attrs := append(make([]attribute.KeyValue, 0, 6), requestMethod(r.Method), urlFull(r.URL))
	host := r.URL.Host
	if r.URL.Port() == "" {
		host = r.URL.Hostname() + ":" + map[bool]string{true: "443", false: "80"}[r.URL.Scheme == "https" || r.URL.Scheme == "wss"]
	}
	return appendServer(attrs, host)
}
