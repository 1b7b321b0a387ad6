package span

import (
	"context"
	"net"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Handshake is the span of a handshake in progress. A nil Handshake is valid, and records
// nothing.
type Handshake struct {
	span   trace.Span
	server bool
	method string
}

// Accept starts the SERVER span of the handshake in r, by the HTTP semantic conventions. It returns
// r with the span context of that span. The context holds no recording span, because the span ends
// long before the handler returns. Text that the client chose is cut after [MaxAttribute] bytes.
//
// If nothing records spans, or if the tracer or the propagator panics, Accept returns nil. The request
// is then r itself, or a copy with the context that r carried. opts may set the start time of the
// span.
func (s *Source) Accept(r *http.Request, opts ...trace.SpanStartOption) (h *Handshake, passed *http.Request) {
	defer contain(func() { h, passed = nil, r })
	tracer := s.tracer()
	if tracer == nil {
		if s.carried(s.carrier(), r) {
			parent, _ := s.parent(r)
			return nil, r.WithContext(parent)
		}
		return nil, r
	}
	parent, link := s.parent(r)
	h = &Handshake{server: true, method: methodName(r.Method)}
	opts = append(opts, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(acceptAttributes(r)...))
	if link.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: link}))
	}
	_, span := tracer.Start(parent, spanName(h.method, RouteOf(r.Pattern)), opts...)
	h.span = span
	return h, r.WithContext(flat(parent, span))
}

// Dial starts the CLIENT span of the handshake that r requests. It returns a copy of r with the
// span context of that span, in the context and in the headers.
//
// If nothing records spans, or if the tracer or the propagator panics, Dial returns nil. The request
// is then r itself, or, if its context has something to propagate, a copy with that in the headers.
// opts may set the start time of the span.
func (s *Source) Dial(r *http.Request, opts ...trace.SpanStartOption) (h *Handshake, sent *http.Request) {
	defer contain(func() { h, sent = nil, r })
	tracer := s.tracer()
	if tracer == nil {
		ctx := r.Context()
		if trace.SpanContextFromContext(ctx).IsValid() || baggage.FromContext(ctx).Len() > 0 {
			return nil, s.inject(ctx, r.Clone(ctx))
		}
		return nil, r
	}
	h = &Handshake{method: methodName(r.Method)}
	opts = append(opts, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(dialAttributes(r)...))
	ctx, span := tracer.Start(r.Context(), h.method, opts...)
	h.span = span
	return h, s.inject(ctx, r.Clone(flat(r.Context(), span)))
}

// inject writes ctx into the headers of r, which must not be nil. The caller must own r.
func (s *Source) inject(ctx context.Context, r *http.Request) *http.Request {
	s.carrier().Inject(ctx, propagation.HeaderCarrier(r.Header))
	return r
}

// End ends the span with the status of the response. Status 0 means no response. route is the route of
// an accepted handshake, or empty if there is none.
//
// For a server, a status from 500 on is an error. For a client, every status other than 101 is an
// error.
func (h *Handshake) End(route string, status int) {
	if h == nil {
		return
	}
	defer h.Abandon()
	defer contain(func() {})
	if !h.span.IsRecording() {
		return
	}
	if route != "" {
		h.span.SetName(spanName(h.method, route))
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

// Abandon ends the span of a handshake whose response will not be seen.
func (h *Handshake) Abandon() {
	if h != nil {
		defer contain(func() {})
		h.span.End()
	}
}

// methods are the methods that may appear in span names: those that the semantic conventions know.
var methods = []string{
	http.MethodGet, http.MethodConnect, http.MethodDelete, http.MethodHead, http.MethodOptions,
	http.MethodPatch, http.MethodPost, http.MethodPut, "QUERY", http.MethodTrace,
}

// methodOther is the name of all other methods.
const methodOther = "HTTP"

func methodName(method string) string {
	switch {
	case method == "":
		return http.MethodGet
	case slices.Contains(methods, method):
		return method
	}
	return methodOther
}

func spanName(method, route string) string {
	if route == "" {
		return method
	}
	return method + " " + route
}

func acceptAttributes(r *http.Request) []attribute.KeyValue {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	attrs := appendMethod(make([]attribute.KeyValue, 0, 10), r.Method)
	attrs = append(attrs, urlPath(r.URL.Path), urlScheme(scheme), protocolVersion(r.ProtoMajor, r.ProtoMinor))
	attrs = appendServer(attrs, r.Host)
	attrs = appendPeer(attrs, r.RemoteAddr)
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, userAgent(agent))
	}
	return attrs
}

func dialAttributes(r *http.Request) []attribute.KeyValue {
	attrs := append(appendMethod(make([]attribute.KeyValue, 0, 6), r.Method), urlFull(r.URL))
	host := r.URL.Host
	if r.URL.Port() == "" {
		port := "80"
		if r.URL.Scheme == "https" || r.URL.Scheme == "wss" {
			port = "443"
		}
		host = net.JoinHostPort(r.URL.Hostname(), port)
	}
	return appendServer(attrs, host)
}
