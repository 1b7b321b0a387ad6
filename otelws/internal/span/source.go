// Package span makes the spans of a connection: a short one for the handshake, and a short one for
// the end. No span is open as long as the connection.
package span

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Source makes the spans of connections. It is safe for concurrent use.
type Source struct {
	scope      Scope
	given      trace.TracerProvider // nil means the global one
	propagator propagation.TextMapPropagator
	query      bool
	public     func(*http.Request) bool // nil if no request is public

	resolved atomic.Pointer[resolved]
}

// resolved is a provider and its tracer. The tracer is nil if the provider is a no-op.
type resolved struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
}

// Scope is the instrumentation scope of the spans.
type Scope struct{ Name, Version string }

// NewSource returns a Source that makes spans with tp and propagates context with p. If tp or p is
// nil, it uses the global one at the time of each handshake.
//
// If tp is a no-op provider, or no global provider is set, Source makes no spans. It still
// propagates context: from the headers to the handler's request, and from a client's context to the
// headers. Without a context to propagate, it does not allocate.
//
// If query is true, an accepted connection may also take its parent from the URL's query, because a
// browser cannot set the headers of a WebSocket handshake.
//
// public reports whether a request comes from an untrusted client, such as a browser on the
// internet. The context in such a request becomes a link, never the parent. Thus an untrusted
// client cannot choose the trace or its sampling, and its baggage is ignored. nil means that all
// requests are trusted.
func NewSource(scope Scope, tp trace.TracerProvider, p propagation.TextMapPropagator, query bool, public func(*http.Request) bool) *Source {
	return &Source{scope: scope, given: tp, propagator: p, query: query, public: public}
}

// contain reports a panic of the application's tracer, propagator or span processor, and calls instead.
// Such a panic must cost the span alone.
func contain(instead func()) {
	if v := recover(); v != nil {
		otel.Handle(fmt.Errorf("otelws: a span is lost, because the TracerProvider or the propagator panicked: %v", v))
		instead()
	}
}

// tracer returns nil if there is nothing that records spans.
func (s *Source) tracer() trace.Tracer {
	tp := s.given
	if tp == nil {
		tp = otel.GetTracerProvider()
	}
	canCompare := reflect.ValueOf(tp).Comparable()
	if r := s.resolved.Load(); r != nil && canCompare && r.provider == tp {
		return r.tracer
	}
	r := &resolved{provider: tp}
	if !recordsNothing(tp) {
		r.tracer = tp.Tracer(s.scope.Name, trace.WithInstrumentationVersion(s.scope.Version), trace.WithSchemaURL(SchemaURL))
	}
	if canCompare {
		s.resolved.Store(r)
	}
	return r.tracer
}

// recordsNothing reports whether tp is a no-op provider, or the placeholder that the API uses until
// a global provider is set.
func recordsNothing(tp trace.TracerProvider) bool {
	switch tp.(type) {
	case noop.TracerProvider, *noop.TracerProvider:
		return true
	}
	return reflect.TypeOf(tp).String() == "*global.tracerProvider"
}

func (s *Source) carrier() propagation.TextMapPropagator {
	if s.propagator == nil {
		return otel.GetTextMapPropagator()
	}
	return s.propagator
}

// parent returns the context for the span of a received request. A span of this process, such as a
// middleware's, takes precedence over the headers, and the headers over the query. For a public
// request, the context that came with it is returned as link.
func (s *Source) parent(r *http.Request) (ctx context.Context, link trace.SpanContext) {
	ctx = r.Context()
	before := trace.SpanContextFromContext(ctx)
	if before.IsValid() && !before.IsRemote() {
		return ctx, link
	}
	came := s.carrier().Extract(ctx, propagation.HeaderCarrier(r.Header))
	if s.query && !trace.SpanContextFromContext(came).IsValid() && len(r.URL.RawQuery) <= maxQuery {
		came = s.carrier().Extract(came, queryCarrier(r.URL.Query()))
	}
	if !s.isPublic(r) {
		return came, link
	}
	if before.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	// A tracestate can have some kilobytes, and every queued span would hold them.
	return ctx, trace.SpanContextFromContext(came).WithTraceState(trace.TraceState{})
}

// isPublic calls the application's function. If it panics, the request counts as public: a panic
// must not end the connection.
func (s *Source) isPublic(r *http.Request) (public bool) {
	if s.public == nil {
		return false
	}
	defer func() {
		if v := recover(); v != nil {
			otel.Handle(fmt.Errorf("otelws: the function that reports public requests panicked: %v", v))
			public = true
		}
	}()
	return s.public(r)
}

// carried reports whether p may find a context in r.
func (s *Source) carried(p propagation.TextMapPropagator, r *http.Request) bool {
	for _, field := range p.Fields() {
		if r.Header.Get(field) != "" || s.query && strings.Contains(r.URL.RawQuery, field) {
			return true
		}
	}
	return false
}

// maxQuery limits the length of a query that is searched for a parent.
const maxQuery = 8 << 10

// queryCarrier reads a context from the query of a URL.
type queryCarrier url.Values

func (q queryCarrier) Get(key string) string { return url.Values(q).Get(key) }
func (q queryCarrier) Set(string, string)    {}
func (q queryCarrier) Keys() []string        { return nil }

// flat returns parent with the span context of span. The context that Start returned would keep the
// whole span in memory as long as the handler runs.
func flat(parent context.Context, span trace.Span) context.Context {
	return trace.ContextWithSpanContext(parent, span.SpanContext())
}
