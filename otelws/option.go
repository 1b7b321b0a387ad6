package otelws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/span"
	"github.com/otelws/otelws-go/tracing"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// Option configures an [Instrumentation].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	meterProvider  metric.MeterProvider
	tracerProvider trace.TracerProvider
	propagator     propagation.TextMapPropagator
	queryTrace     bool
	public         func(*http.Request) bool

	enums       []*enum
	groups      InstrumentGroup
	closeCodes  []websocket.StatusCode
	kinds       *messagekind.Kinds // nil if they are not read
	sizesByKind bool
	decoded     bool
	tcp         bool
	budget      int
	limit       cardinalityLimit

	heartbeats [2]*heartbeatConfig // index: role; nil means none
	drain      []DrainOption
	onClose    []func(context.Context, Summary)

	codes *closeCodes // the registered codes, and closeCodes
	errs  []error     // of the options
}

func newConfig(opts []Option) (*config, error) {
	c := &config{budget: DefaultSeriesBudget, limit: -1}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("option is nil")
		}
		o.apply(c)
	}
	if c.meterProvider == nil {
		c.meterProvider = otel.GetMeterProvider()
	}
	var err error
	c.codes, err = newCloseCodes(c.closeCodes)
	c.errs = append(c.errs, err, checkLabels(c.enums, c.kinds != nil), c.checkKinds())
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	if c.limit < 0 {
		c.limit = cardinalityLimitOf(c.meterProvider)
	}
	return c, nil
}

// kindNames returns the names of all kinds, or nil if none are declared.
func (c *config) kindNames() []string {
	if c.kinds == nil {
		return nil
	}
	return c.kinds.Names()
}

// checkKinds returns an error if the options for kinds do not fit each other.
func (c *config) checkKinds() error {
	if c.sizesByKind && c.kinds == nil {
		return errors.New("WithSizesByKind has no kinds: declare them with WithMessageKinds")
	}
	return nil
}

func (c *config) addEnum(key attribute.Key, of func(*http.Request, string) string, values []string) *enum {
	e, err := newEnum(key, of, values)
	if err != nil {
		c.errs = append(c.errs, err)
		return nil
	}
	c.enums = append(c.enums, e)
	return e
}

// WithMeterProvider sets the provider of the instruments. The default, also for nil, is the global
// provider. A no-op provider turns metrics off.
//
// If the global provider is set after New, the counts from before are kept and reported. Histogram
// observations from before it are lost.
func WithMeterProvider(mp metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = mp })
}

// WithTracerProvider sets the provider of the connection spans. The default, also for nil, is the
// global provider. A no-op provider turns spans off at no cost.
//
// Each handshake has a short SERVER or CLIENT span, by the HTTP semantic conventions, which ends
// with the response. The end of a sampled connection has a short span named websocket.close. No
// span stays open between them.
//
// The context of the handler's request holds the span context of the handshake. On a client, the
// context of resp.Request holds it. Package tracing makes spans for messages.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracerProvider = tp })
}

// WithPropagator sets the propagator for the trace context in handshakes: it is extracted from the
// headers of accepted handshakes, and injected into the headers of dialed ones. The default, also
// for nil, is the global propagator.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) { c.propagator = p })
}

// WithTraceContextFromQuery also accepts the parent of an accepted handshake from the URL's query,
// such as ?traceparent=00-..., if its headers have none. It is for browsers, which cannot set
// headers on a WebSocket.
//
// Warning: anybody who can make a user open a link can then choose the trace ID.
func WithTraceContextFromQuery() Option {
	return optionFunc(func(c *config) { c.queryTrace = true })
}

// WithPublicEndpoint declares accepted handshakes that come from untrusted clients: those for which
// public returns true, or all of them if public is nil. The trace context in such a request becomes
// a link of the handshake's span, not its parent, and its baggage is ignored.
//
// Without this option, every client can have its own requests sampled, and can choose the trace ID
// in exemplars and in the requests that the handler makes.
//
// public must be safe for concurrent use. If it panics, the request counts as public.
func WithPublicEndpoint(public func(*http.Request) bool) Option {
	if public == nil {
		public = func(*http.Request) bool { return true }
	}
	return optionFunc(func(c *config) { c.public = public })
}

// WithEnum adds an attribute with a fixed set of values. valueOf returns the value of a connection.
// Any other value that it returns is recorded as [OtherValue].
//
// valueOf is called once for each connection, when its handshake succeeds or fails. For an
// accepted connection, it gets the request that [Instrumentation.Handler] passes to its handler, or
// that [Instrumentation.Accept] receives. For a dialed connection, it gets the request that is
// sent. If a middleware inside Handler copies the request, valueOf does not see the context of the
// copy.
//
// valueOf must be safe for concurrent use. If it panics, the value is OtherValue. A value from
// [SetAttribute] takes precedence over valueOf. If SetAttribute always gives the value, valueOf may
// be nil.
//
// The instruments ws.connections.active, opened and closed, and ws.handshake.duration, carry the
// attribute. For other instruments, use [WithAttributesOn]. If the scrape configuration adds a
// label of the same name to its targets, Prometheus stores this attribute as exported_ and its
// name.
func WithEnum(name string, valueOf func(*http.Request) string, values ...string) Option {
	return optionFunc(func(c *config) {
		var get func(*http.Request, string) string
		if valueOf != nil {
			get = func(r *http.Request, _ string) string { return valueOf(r) }
		}
		e := c.addEnum(attribute.Key(name), get, values)
		if e != nil {
			e.settable = true
		}
	})
}

// WithRoutes adds the attribute http.route to accepted connections. Its value is the path of the
// [http.ServeMux] pattern that matched, if it is among patterns, and [OtherValue] otherwise.
// Methods and hosts in patterns are ignored.
//
// If a middleware between Handler and the mux copies the request, Handler cannot see the pattern.
// In this case, put Handler inside the middleware.
//
// echo 5 sets [http.Request.Pattern] like http.ServeMux. So does chi 5, but it copies the request:
// use r.With(ws.Handler) there, on the routes of WebSockets, or r.Use(ws.Handler). Other routers,
// such as gin, echo 4 and gorilla/mux, do not set it. For these, use [WithEnum] and [SetAttribute],
// as here in a handler of gin:
//
//	otelws.WithEnum("http.route", nil, "/room/:id")
//	...
//	err := otelws.SetAttribute(c.Request.Context(), "http.route", c.FullPath())
func WithRoutes(patterns ...string) Option {
	return optionFunc(func(c *config) {
		routes := make([]string, len(patterns))
		for i, p := range patterns {
			if !strings.Contains(p, "/") {
				c.errs = append(c.errs, fmt.Errorf("invalid route %q: use a pattern with a path, such as /chat/{room}", p))
			}
			routes[i] = span.RouteOf(p)
		}
		e := c.addEnum(keyRoute, func(r *http.Request, _ string) string { return span.RouteOf(r.Pattern) }, routes)
		if e != nil {
			e.server = true
		}
	})
}

// WithSubprotocols adds the attribute subprotocol. Its value is the negotiated subprotocol if it is
// among names, [NoSubprotocol] if none was negotiated, and [OtherValue] otherwise. A subprotocol
// that [tracing.Subprotocols] made from a name counts as that name.
func WithSubprotocols(names ...string) Option {
	names = slices.Clone(names)
	return optionFunc(func(c *config) {
		for _, n := range names {
			if strings.ContainsAny(n, ", ") {
				c.errs = append(c.errs, fmt.Errorf("invalid subprotocol %q: give each name separately", n))
			}
		}
		c.addEnum(keySubprotocol, func(_ *http.Request, subprotocol string) string {
			if slices.Contains(names, subprotocol) {
				return subprotocol
			}
			return cmp.Or(tracing.ApplicationSubprotocol(subprotocol), NoSubprotocol)
		}, append([]string{NoSubprotocol}, names...))
	})
}

// WithAttributesOn adds the application's attributes to further groups of instruments. Without it,
// only the instruments that [WithEnum] names carry them. Attributes on a histogram multiply all its
// buckets, so they can need a higher [WithSeriesBudget].
func WithAttributesOn(groups ...InstrumentGroup) Option {
	return optionFunc(func(c *config) {
		for _, g := range groups {
			if g&^allGroups != 0 {
				c.errs = append(c.errs, fmt.Errorf("instrument group %d does not exist: use the constants of InstrumentGroup", g))
			}
			c.groups |= g
		}
	})
}

// WithCloseCodes declares close codes from 3000 to 4999 that the application uses. Each has its own
// value of the attribute code. Undeclared codes of this range are recorded as "3xxx" and "4xxx",
// because a peer could otherwise create thousands of time series.
func WithCloseCodes(codes ...websocket.StatusCode) Option {
	return optionFunc(func(c *config) { c.closeCodes = append(c.closeCodes, codes...) })
}

// WithDecodedSizes makes ws.message and ws.message.sent record the uncompressed size of messages.
// Without it, a message that permessage-deflate compressed is recorded with its size on the wire.
// The option also adds the counters ws.compression.wire and ws.compression.decoded, in bytes of
// compressed messages before and after decompression. Their quotient is the compression ratio.
//
// The tap computes the size from the DEFLATE symbols, without decompressing. For a small compressed
// message, this costs about 20 to 50 % of the CPU time that the message takes in memory. It also
// takes 6 KiB of memory for each message in progress. Uncompressed messages cost nothing.
//
// If a payload is not valid DEFLATE, the message is recorded with its size on the wire, and is in
// neither counter. The same holds for all compressed messages of a connection that negotiated
// another extension, too.
func WithDecodedSizes() Option {
	return optionFunc(func(c *config) { c.decoded = true })
}

// DefaultSeriesBudget is the default of [WithSeriesBudget]. If the scrape configuration has a
// sample_limit, set it higher than the budget.
const DefaultSeriesBudget = 20_000

// WithSeriesBudget sets the maximum number of time series, including buckets, that [New] accepts as
// the worst case. The number includes the series of all other Instrumentations on the same
// MeterProvider. The default is [DefaultSeriesBudget]. A histogram counts as one series if the
// MeterProvider is known to give it exponential buckets.
func WithSeriesBudget(n int) Option {
	return optionFunc(func(c *config) {
		if n <= 0 {
			c.errs = append(c.errs, fmt.Errorf("invalid series budget %d: use a positive number", n))
		}
		c.budget = n
	})
}

// WithCardinalityLimit declares the SDK's limit of attribute sets for each instrument. You need it only
// with a MeterProvider of your own that has another limit than the default. n is the argument of
// sdkmetric.WithCardinalityLimit, or the limit of a reader; 0 means no limit.
//
// [New] returns an error if the configuration can exceed the limit, because the SDK would record all
// further sets in one series without attributes. New reads the limit itself from a MeterProvider of
// package exporter, or of counted.Histograms.Wrap. For any other MeterProvider, the default is
// OTEL_GO_X_CARDINALITY_LIMIT, or else the SDK's default of 2000.
func WithCardinalityLimit(n int) Option {
	return optionFunc(func(c *config) {
		if n < 0 {
			c.errs = append(c.errs, fmt.Errorf("invalid cardinality limit %d: use a positive number, or 0 for no limit", n))
		}
		c.limit = cardinalityLimit(n)
	})
}

// WithOnClose adds a function that is called once for each connection that has ended, with its
// summary. Several functions are called in the order of their options.
//
// f runs on the goroutine that ended the connection, often while the WebSocket library holds locks.
// Therefore f must not block, and must not use the connection.
//
// The context of f is never cancelled. It has the values of the handshake's request, including the
// span context. If the garbage collector found the connection, however, only the span context is
// left, and f runs on a goroutine of its own.
func WithOnClose(f func(context.Context, Summary)) Option {
	return optionFunc(func(c *config) {
		if f == nil {
			c.errs = append(c.errs, errors.New("the function of WithOnClose is nil"))
			return
		}
		c.onClose = append(c.onClose, f)
	})
}

// WithHeartbeat gives every connection a heartbeat from its opening to its end; see
// [Instrumentation.Heartbeat]. It applies to accepted and dialed connections. With [AcceptedOnly],
// it applies only to accepted connections; with [DialedOnly], only to dialed connections. You may
// give WithHeartbeat twice, once for each.
//
// It does not fit a server in which one goroutine reads many connections, as with epoll. A Read that
// finds only the pong of the heartbeat waits for the next frame.
func WithHeartbeat(opts ...HeartbeatOption) Option {
	return optionFunc(func(c *config) {
		h, err := newHeartbeatConfig(opts)
		if err != nil {
			c.errs = append(c.errs, err)
			return
		}
		for r := range c.heartbeats {
			if !h.spared[r] {
				c.heartbeats[r] = h
			}
		}
	})
}

// WithDrain sets default options for every [Instrumentation.Drain].
func WithDrain(opts ...DrainOption) Option {
	return optionFunc(func(c *config) {
		_, err := newDrainConfig(opts)
		c.drain = append(c.drain, opts...)
		c.errs = append(c.errs, err)
	})
}
