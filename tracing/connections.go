package tracing

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

// Connections makes the spans of connections: a short one for a handshake, and
// a short one for the end. It is what package otelws is built on, and of use to
// others that watch connections. It is safe for concurrent use.
type Connections struct {
	given      trace.TracerProvider // nil for the global one
	propagator propagation.TextMapPropagator
	query      bool
	public     func(*http.Request) bool // nil where no request is

	resolved atomic.Pointer[resolved]
}

// resolved is a provider and its tracer, nil where the provider records nothing.
type resolved struct {
	provider trace.TracerProvider
	tracer   trace.Tracer
}

// NewConnections returns Connections whose tracer is tp's and whose contexts
// travel by p; where they are nil, those are the global ones at the time of each
// handshake. While tp is a no-op provider, or no global one has been set, there
// are no spans, and a context is passed on as it came, from the request to the
// handler or from whoever dials to the request; where there is none, nothing is
// allocated. With query, the parent of an
// accepted connection may also come from the parameters of its URL, which is
// where a browser can put it: it cannot set the headers of a handshake.
//
// A request for which public returns true comes from a client that nobody vouches
// for. Its context is a link of the span and never the parent: such a client
// decides neither the trace nor its sampling, and its baggage goes no further.
// public is nil where there are no such requests.
func NewConnections(tp trace.TracerProvider, p propagation.TextMapPropagator, query bool, public func(*http.Request) bool) *Connections {
	return &Connections{given: tp, propagator: p, query: query, public: public}
}

// tracer returns nil where spans would go nowhere.
func (c *Connections) tracer() trace.Tracer {
	tp := c.given
	if tp == nil {
		tp = otel.GetTracerProvider()
	}
	canCompare := reflect.ValueOf(tp).Comparable()
	if r := c.resolved.Load(); r != nil && canCompare && r.provider == tp {
		return r.tracer
	}
	r := &resolved{provider: tp}
	if !recordsNothing(tp) {
		r.tracer = tp.Tracer(ScopeName, trace.WithInstrumentationVersion(Version), trace.WithSchemaURL(schemaURL))
	}
	if canCompare {
		c.resolved.Store(r)
	}
	return r.tracer
}

// recordsNothing is true of no-op providers, and of the API's own stand-in for
// a global provider, which is no longer the global one once that is set.
func recordsNothing(tp trace.TracerProvider) bool {
	switch tp.(type) {
	case noop.TracerProvider, *noop.TracerProvider:
		return true
	}
	return reflect.TypeOf(tp).String() == "*global.tracerProvider"
}

func (c *Connections) carrier() propagation.TextMapPropagator {
	if c.propagator == nil {
		return otel.GetTextMapPropagator()
	}
	return c.propagator
}

// parent returns the context of a request that a server received, and of a public
// one the context that came with it. A span of this process, such as a
// middleware's, goes before the headers that it was made from, and these before
// the query.
func (c *Connections) parent(r *http.Request) (ctx context.Context, link trace.SpanContext) {
	ctx = r.Context()
	before := trace.SpanContextFromContext(ctx)
	if before.IsValid() && !before.IsRemote() {
		return ctx, link
	}
	came := c.carrier().Extract(ctx, propagation.HeaderCarrier(r.Header))
	if c.query && !trace.SpanContextFromContext(came).IsValid() && len(r.URL.RawQuery) <= maxQuery {
		came = c.carrier().Extract(came, queryCarrier(r.URL.Query()))
	}
	if !c.isPublic(r) {
		return came, link
	}
	if before.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	// A tracestate may have some kilobytes, and every queued span would keep them.
	return ctx, trace.SpanContextFromContext(came).WithTraceState(trace.TraceState{})
}

// isPublic takes a request for public where the application's function panics:
// that must not end the connection.
func (c *Connections) isPublic(r *http.Request) (public bool) {
	if c.public == nil {
		return false
	}
	defer func() {
		if v := recover(); v != nil {
			otel.Handle(fmt.Errorf("tracing: function that says whether a request is public panicked: %v", v))
			public = true
		}
	}()
	return c.public(r)
}

// carried says whether p may find a context in r.
func (c *Connections) carried(p propagation.TextMapPropagator, r *http.Request) bool {
	for _, field := range p.Fields() {
		if r.Header.Get(field) != "" || c.query && strings.Contains(r.URL.RawQuery, field) {
			return true
		}
	}
	return false
}

// maxQuery bounds the query that is looked through for a parent.
const maxQuery = 8 << 10

// queryCarrier reads a context out of the parameters of a URL.
type queryCarrier url.Values

func (q queryCarrier) Get(key string) string { return url.Values(q).Get(key) }
func (q queryCarrier) Set(string, string)    {}
func (q queryCarrier) Keys() []string        { return nil }

// flat returns parent with the span's context. The context that came with the
// span holds the span itself, for as long as the handler runs.
func flat(parent context.Context, span trace.Span) context.Context {
	return trace.ContextWithSpanContext(parent, span.SpanContext())
}
