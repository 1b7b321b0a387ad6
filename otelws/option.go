package otelws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/tracing"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// Option configures an [Instrumentation].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// InstrumentGroup names instruments that carry the attributes of the application only
// where it asks for that, with [WithAttributesOn].
type InstrumentGroup uint8

// The groups of instruments. An attribute on MessageInstruments costs some 50
// ns a message; on the others it costs series.
const (
	// MessageInstruments are ws.message and ws.message.sent and, by [WithMessageKinds],
	// ws.messages and ws.messages.size.
	MessageInstruments InstrumentGroup = 1 << iota
	// HeartbeatInstruments are ws.heartbeat.rtt and ws.heartbeat.missed.
	HeartbeatInstruments
	// DurationInstruments is ws.connection.duration.
	DurationInstruments
	// TrafficInstruments are ws.frames, ws.io, ws.write.time and, by [WithDecodedSizes],
	// ws.compression.wire and ws.compression.decoded.
	TrafficInstruments

	everywhere = MessageInstruments | HeartbeatInstruments | DurationInstruments | TrafficInstruments
)

type config struct {
	provider   metric.MeterProvider
	enums      []*enum
	groups     InstrumentGroup
	closeCodes []websocket.StatusCode
	budget     int
	limit      cardinalityLimit
	onClose    []func(context.Context, Summary)
	heartbeats [2]*heartbeatConfig // by role, nil for none
	drain      []DrainOption
	tracer     trace.TracerProvider
	propagator propagation.TextMapPropagator
	queryTrace bool
	public     func(*http.Request) bool
	decoded    bool
	tcp        bool
	kinds      *messagekind.Kinds // nil where they are not read
	errs       []error

	sizesByKind bool

	codes *closeCodes
}

func newConfig(opts []Option) (*config, error) {
	c := &config{budget: DefaultSeriesBudget, limit: -1}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("option is nil")
		}
		o.apply(c)
	}
	if c.provider == nil {
		c.provider = otel.GetMeterProvider()
	}
	var err error
	c.codes, err = newCloseCodes(c.closeCodes)
	c.errs = append(c.errs, err, c.checkLabels(), c.checkKinds())
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	if c.limit < 0 {
		c.limit = cardinalityLimitOf(c.provider)
	}
	return c, nil
}

func (c *config) addEnum(key attribute.Key, of func(*handshake) string, values []string) *enum {
	e, err := newEnum(key, of, values)
	if err != nil {
		c.errs = append(c.errs, err)
		return nil
	}
	c.enums = append(c.enums, e)
	return e
}

// WithMeterProvider sets the provider of the instruments. Without it, or where
// mp is nil, that is the global one; a no-op provider turns recording off.
//
// What is counted before a global provider is set is reported once it is;
// only observations of histograms are recorded from then on.
func WithMeterProvider(mp metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.provider = mp })
}

// WithTracerProvider sets the provider of the spans of connections: a short one
// for each handshake, SERVER or CLIENT by the HTTP conventions, that ends with
// its response, and one named websocket.close at the end of a connection whose
// handshake is sampled. Nothing is open in between. Without it, or where tp is
// nil, that is the global one; a no-op provider turns spans off, at no cost.
//
// The request's context holds the handshake's span context for the handler, and
// that of a client's resp.Request for whoever dialed. Spans of messages are the
// business of package tracing.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracer = tp })
}

// WithPropagator sets how the context of a trace is read from the headers of an
// accepted handshake and written to those of a dialed one. Without it, or where
// p is nil, that is the global one.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) { c.propagator = p })
}

// WithTraceContextFromQuery has the parent of an accepted handshake also read
// from the parameters of its URL, such as ?traceparent=00-..., where its headers
// have none: a browser cannot set those of a WebSocket. Whoever can write a link
// to the server can then name the trace.
func WithTraceContextFromQuery() Option {
	return optionFunc(func(c *config) { c.queryTrace = true })
}

// WithPublicEndpoint says which accepted handshakes come from clients that nobody
// vouches for: those for which public returns true, and all of them where public is
// nil. The context of a trace that such a request carries is a link of the
// handshake's span and not its parent, and its baggage is passed over. Otherwise
// any client has its own requests sampled, and its trace id put into exemplars and
// into the requests that the handler makes.
//
// public must be safe for concurrent use. If it panics, the request is public.
func WithPublicEndpoint(public func(*http.Request) bool) Option {
	if public == nil {
		public = func(*http.Request) bool { return true }
	}
	return optionFunc(func(c *config) { c.public = public })
}

// WithEnum adds an attribute whose values are declared here and are the only
// ones that it takes: whatever else of returns is recorded as [OtherValue].
//
// It is evaluated once a connection, when the handshake succeeds or fails, on
// the request that Handler passes on or Accept is given (for a dialed
// connection, on the one that is sent). What a middleware between Handler and
// the application puts into a copy of the request is not in it. of may be nil
// where [SetAttribute] gives the value, which goes before of; it must be safe for
// concurrent use. If it panics, the value is OtherValue.
//
// The attribute goes on ws.connections.active, opened and closed and on
// ws.handshake.duration, and on others by [WithAttributesOn]. Where a scrape
// configuration gives its targets a label of the same name, Prometheus stores
// this one as exported_ and the name.
func WithEnum(name string, of func(*http.Request) string, values ...string) Option {
	return optionFunc(func(c *config) {
		var get func(*handshake) string
		if of != nil {
			get = func(h *handshake) string { return of(h.request) }
		}
		e := c.addEnum(attribute.Key(name), get, values)
		if e != nil {
			e.settable = true
		}
	})
}

// WithRoutes adds the attribute http.route to accepted connections: the path
// of the [http.ServeMux] pattern that matched, if it is one of patterns, and
// OtherValue if not. Methods and hosts in patterns are passed over.
//
// A middleware between Handler and the mux that copies the request hides the
// pattern: put Handler inside it. A router that does not set
// [http.Request.Pattern] takes a WithEnum of its own.
func WithRoutes(patterns ...string) Option {
	return optionFunc(func(c *config) {
		routes := make([]string, len(patterns))
		for i, p := range patterns {
			routes[i] = routeOf(p)
		}
		e := c.addEnum(keyRoute, func(h *handshake) string { return routeOf(h.request.Pattern) }, routes)
		if e != nil {
			e.server = true
		}
	})
}

// WithSubprotocols adds the attribute subprotocol: the negotiated one if it is
// among names, [NoSubprotocol] if none was negotiated, else OtherValue. One that
// [tracing.Subprotocols] made of a name counts as that name.
func WithSubprotocols(names ...string) Option {
	return optionFunc(func(c *config) {
		c.addEnum(keySubprotocol, func(h *handshake) string {
			if slices.Contains(names, h.subprotocol) {
				return h.subprotocol
			}
			return cmp.Or(tracing.ApplicationSubprotocol(h.subprotocol), NoSubprotocol)
		}, append([]string{NoSubprotocol}, names...))
	})
}

// WithAttributesOn has further instruments carry the attributes of the
// application.
func WithAttributesOn(groups ...InstrumentGroup) Option {
	return optionFunc(func(c *config) {
		for _, g := range groups {
			if g&^everywhere != 0 {
				c.errs = append(c.errs, fmt.Errorf("attribute group %d does not exist", g))
			}
			c.groups |= g
		}
	})
}

// WithCloseCodes declares close codes from 3000 to 4999 that this application
// uses, so that they are counted as they are. Others are counted as "3xxx" and
// "4xxx": peers choose them.
func WithCloseCodes(codes ...websocket.StatusCode) Option {
	return optionFunc(func(c *config) { c.closeCodes = append(c.closeCodes, codes...) })
}

// WithDecodedSizes has ws.message and ws.message.sent hold the size of a message
// as the application knows it also where permessage-deflate compresses it;
// without it that is the payload's size on the wire. It adds the counters
// ws.compression.wire and ws.compression.decoded, of the bytes of compressed
// messages before and after, whose quotient is the ratio that is achieved.
//
// The size is counted from the DEFLATE symbols, and nothing is decompressed.
// That costs about as much as a fifth to a half of the CPU time that a small
// compressed message takes in memory, nothing for one that is not compressed,
// and 6 KiB for each message that is under way.
//
// A message whose payload is no valid DEFLATE counts by its size on the wire
// and in neither counter; so do all compressed messages of a connection that
// negotiated another extension besides.
func WithDecodedSizes() Option {
	return optionFunc(func(c *config) { c.decoded = true })
}

// WithSeriesBudget sets the greatest number of time series, buckets included,
// that New accepts as the worst case of its configuration, together with all that
// other Instrumentations have declared on the same MeterProvider. Without it that
// is [DefaultSeriesBudget]. A histogram that the MeterProvider is known to have
// exponential buckets for is one series.
func WithSeriesBudget(n int) Option {
	return optionFunc(func(c *config) {
		if n <= 0 {
			c.errs = append(c.errs, fmt.Errorf("series budget %d is not a positive number", n))
		}
		c.budget = n
	})
}

// WithCardinalityLimit says how many attribute sets of one instrument the SDK has data points for, where
// sdkmetric.WithCardinalityLimit has set it or the limit of a reader; 0 stands for any number. New refuses
// what would go beyond it: the SDK would put that into one series, without any attribute. It is not needed with
// package exporter, nor with a MeterProvider that counted.Wrap has returned, whose limit New reads. With any
// other New takes it from OTEL_GO_X_CARDINALITY_LIMIT, and else for the SDK's default of 2000.
func WithCardinalityLimit(n int) Option {
	return optionFunc(func(c *config) {
		if n < 0 {
			c.errs = append(c.errs, fmt.Errorf("cardinality limit %d is negative", n))
		}
		c.limit = cardinalityLimit(n)
	})
}

// WithOnClose has f called with the summary of each connection that has
// ended, once for each. Several are called in the order of the options.
//
// f runs on the goroutine that ended the connection, often with locks of the
// WebSocket library held: it must not block, and must not use the connection.
// Its context holds the values of the handshake's request, among them its span
// context, and is never cancelled. Of a connection that the garbage collector
// found, the span context alone is left of them, and f runs on a goroutine of its
// own.
func WithOnClose(f func(context.Context, Summary)) Option {
	return optionFunc(func(c *config) {
		if f == nil {
			c.errs = append(c.errs, errors.New("function of WithOnClose is nil"))
			return
		}
		c.onClose = append(c.onClose, f)
	})
}

// WithHeartbeat gives every connection, accepted or dialed, a heartbeat as
// [Instrumentation.Heartbeat] does, from its opening to its end. With
// [AcceptedOnly] or [DialedOnly] it is for the one kind, and may be given again for
// the other.
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

// WithDrain sets the options of every [Instrumentation.Drain].
func WithDrain(opts ...DrainOption) Option {
	return optionFunc(func(c *config) {
		_, err := newDrainConfig(opts)
		c.drain = append(c.drain, opts...)
		c.errs = append(c.errs, err)
	})
}
