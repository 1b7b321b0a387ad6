package tracing

import (
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// Option configures an [Instrumentation].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	tracerProvider trace.TracerProvider
	meterProvider  metric.MeterProvider
	policies       []Policy

	kinds *messagekind.Kinds // nil where they are not read
	errs  []error

	policy Policy
}

func newConfig(opts []Option) (*config, error) {
	c := &config{policies: []Policy{Handshake(), RateLimit(DefaultRate, DefaultBurst)}}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("option is nil")
		}
		o.apply(c)
	}
	if c.tracerProvider == nil {
		c.tracerProvider = otel.GetTracerProvider()
	}
	if c.meterProvider == nil {
		c.meterProvider = otel.GetMeterProvider()
	}
	c.policy = AllOf(c.policies...)
	return c, errors.Join(append(c.errs, c.policy.check())...)
}

// WithTracerProvider sets the provider of the tracer. Without it, or where tp
// is nil, that is the global one; a no-op provider turns spans off.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracerProvider = tp })
}

// WithMeterProvider sets the provider of the instruments. Without it, or where
// mp is nil, that is the global one; a no-op provider turns recording off.
func WithMeterProvider(mp metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = mp })
}

// WithSampling sets which messages may have a span: those that every one of
// policies lets pass, asked in their order as by [AllOf]. The sampler of the
// TracerProvider decides after them.
//
// Without it they are Handshake() and RateLimit(DefaultRate, DefaultBurst). With
// no policies the sampler alone decides.
func WithSampling(policies ...Policy) Option {
	return optionFunc(func(c *config) { c.policies = policies })
}

// ConnOption configures what one connection's messages carry and are called.
type ConnOption interface{ applyConn(*connConfig) }

type connOptionFunc func(*connConfig)

func (f connOptionFunc) applyConn(c *connConfig) { f(c) }

type connConfig struct {
	mode        mode
	trusted     bool
	client      bool
	destination string
	subprotocol string
}

func newConnConfig(opts []ConnOption) (*connConfig, error) {
	c := &connConfig{}
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("connection option is nil")
		}
		o.applyConn(c)
	}
	if isEnveloped(c.subprotocol) {
		c.mode = envelopeMode
	}
	return c, nil
}

// JSON has text messages that are JSON objects carry their context in members
// traceparent and tracestate, as the distributed tracing extension of
// CloudEvents names them in its JSON format.
//
// A message that is sent gets the members at the front of the object, and is
// otherwise the same, byte for byte. Where it has them, at its top level, their
// values are replaced: the context is that of this hop, and an object that came
// from a peer takes no foreign context on to the next. Messages that are binary,
// no object, no valid JSON, nested deeper than 512 levels or longer than 1 MiB
// are sent as they are. A received message is given to its handler as it came.
//
// It is for connections whose peer expects or ignores such members. Where an
// envelope was negotiated, that is used instead.
func JSON() ConnOption {
	return connOptionFunc(func(c *connConfig) { c.mode = jsonMode })
}

// TrustPeer makes the context that a message carries the parent of its span,
// where it would be a link. It is for peers that one controls: a peer so
// trusted puts spans into any trace, and with [ParentBased] chooses what is
// sampled.
func TrustPeer() ConnOption {
	return connOptionFunc(func(c *connConfig) { c.trusted = true })
}

// Destination names what the messages of the connection are sent to or come
// from, such as its route: "/rooms/{id}". It ends the names of spans and is
// their attribute messaging.destination.template. It must be one of a few: a
// pattern, not a path.
func Destination(pattern string) ConnOption {
	return connOptionFunc(func(c *connConfig) { c.destination = pattern })
}

// Dialed says that this side opened the connection. Its handler time is
// recorded by ws.client.message.process.duration.
func Dialed() ConnOption {
	return connOptionFunc(func(c *connConfig) { c.client = true })
}

// Subprotocol says which subprotocol the handshake chose. If it is one of
// [Subprotocols] with an envelope, messages have one. [Instrumentation.Conn]
// knows it by itself.
func Subprotocol(name string) ConnOption {
	return connOptionFunc(func(c *connConfig) { c.subprotocol = name })
}
