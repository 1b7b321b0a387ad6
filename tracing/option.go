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

	kinds *messagekind.Kinds // nil if they are not read
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

// WithTracerProvider sets the provider of the tracer. The default, also for nil, is the global
// provider. A no-op provider turns spans off.
func WithTracerProvider(tp trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracerProvider = tp })
}

// WithMeterProvider sets the provider of the instruments. The default, also for nil, is the global
// provider. A no-op provider turns metrics off.
func WithMeterProvider(mp metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = mp })
}

// WithSampling sets the policies that decide which messages may have a span. A message may have one
// if all policies let it pass. They are asked in order, as by [AllOf]. Then the sampler of the
// TracerProvider decides.
//
// The default is Handshake() and RateLimit(DefaultRate, DefaultBurst). With WithSampling() and no
// policies, only the sampler decides.
func WithSampling(policies ...Policy) Option {
	return optionFunc(func(c *config) { c.policies = policies })
}

// ConnOption configures the messages of one connection.
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

// JSON lets text messages carry their context inside, if they are JSON objects. The context is in
// the top-level members traceparent and tracestate. These are the names of CloudEvents' distributed
// tracing extension in its JSON format. Use it only if the peer expects or ignores such members. If
// an envelope was negotiated, the envelope is used instead.
//
// A sent message gets the members at the front of the object. Its other bytes do not change. If the
// object already has the members, their values are replaced, so that a forwarded object carries the
// context of this hop.
//
// Other messages are sent unchanged: binary messages, invalid JSON, values that are not objects,
// objects with more than 512 levels, and messages longer than 1 MiB. Received messages go to the
// handler unchanged.
func JSON() ConnOption {
	return connOptionFunc(func(c *connConfig) { c.mode = jsonMode })
}

// TrustPeer makes the context in a received message the parent of its span, instead of a link. Use
// it only for peers under your control: a trusted peer can add spans to any trace, and with
// [ParentBased] it also decides what is sampled.
func TrustPeer() ConnOption {
	return connOptionFunc(func(c *connConfig) { c.trusted = true })
}

// Destination names the source and target of the connection's messages, such as a route:
// "/rooms/{id}". It becomes a part of the span names, and the attribute
// messaging.destination.template. Use a pattern, never a path, so that there are only a few
// different values.
func Destination(pattern string) ConnOption {
	return connOptionFunc(func(c *connConfig) { c.destination = pattern })
}

// Dialed declares that this side opened the connection. The time of its handlers is then recorded
// by ws.client.message.process.duration.
func Dialed() ConnOption {
	return connOptionFunc(func(c *connConfig) { c.client = true })
}

// Subprotocol declares the subprotocol that the handshake chose. If it contains the envelope of
// [Subprotocols], messages have an envelope. [Instrumentation.Conn] sets this option itself.
func Subprotocol(name string) ConnOption {
	return connOptionFunc(func(c *connConfig) { c.subprotocol = name })
}
