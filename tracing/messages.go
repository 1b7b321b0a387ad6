package tracing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// mode is the form in which messages of a connection carry context.
type mode int

const (
	plainMode mode = iota
	jsonMode
	envelopeMode
	modes
)

// Messages makes the spans of the messages of one connection. It works with any WebSocket library;
// for coder/websocket, [Conn] is simpler. It is safe for concurrent use. It needs no Close, because
// it holds no resources.
type Messages struct {
	in        *Instrumentation
	handshake trace.SpanContext
	decider   decider
	mode      mode
	trusted   bool
	role      int // 0 for an accepted connection, 1 for a dialed one

	process operation
	send    operation
}

// operation holds the common parts of all spans of one direction.
type operation struct {
	name string
	opts []trace.SpanStartOption
}

// Messages returns a Messages for one connection. ctx must hold the span context of the handshake:
// a server passes the context of the request, a client the context of resp.Request. Messages keeps
// only this span context. It returns an error if an option is nil.
func (i *Instrumentation) Messages(ctx context.Context, opts ...ConnOption) (*Messages, error) {
	cfg, err := newConnConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return newMessages(i, trace.SpanContextFromContext(ctx), cfg), nil
}

func newMessages(i *Instrumentation, handshake trace.SpanContext, cfg *connConfig) *Messages {
	m := &Messages{
		in:        i,
		handshake: handshake,
		decider:   i.policy.forConn(handshake),
		mode:      cfg.mode,
		trusted:   cfg.trusted,
	}
	if cfg.client {
		m.role = 1
	}
	m.process = newOperation("process", trace.SpanKindConsumer, operationProcess, handshake, cfg.destination)
	m.send = newOperation("send", trace.SpanKindProducer, operationSend, handshake, cfg.destination)
	return m
}

func newOperation(name string, kind trace.SpanKind, attrs []attribute.KeyValue, handshake trace.SpanContext, destination string) operation {
	attrs = append(slices.Clone(attrs), messagingSystem)
	if destination != "" {
		destination = strings.ToValidUTF8(destination, "\uFFFD") // may be a path, against all advice
		name += " " + destination
		attrs = append(attrs, destinationTemplate(destination))
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(attrs...)}
	if handshake.IsSampled() && handshake.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: handshake}))
	}
	return operation{name, opts}
}

// start starts a span, either as a root or as a child of the span in ctx. If the tracer panics, the
// message has no span, and its context is not sampled.
func (o *operation) start(ctx context.Context, t trace.Tracer, root bool, extra ...trace.SpanStartOption) (started context.Context, span trace.Span) {
	defer contain(func() {
		var parent trace.SpanContext
		if !root {
			parent = trace.SpanContextFromContext(ctx)
		}
		started = trace.ContextWithSpanContext(ctx, unsampled(parent))
		span = trace.SpanFromContext(started)
	})
	// Not by WithNewRoot: a tracer that records nothing ignores it, and would pass on the handshake as the
	// parent of all messages.
	if root && trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	opts := o.opts
	if len(extra) > 0 {
		opts = append(slices.Clip(opts), extra...)
	}
	started, span = t.Start(ctx, o.name, opts...)
	if span == nil {
		panic("the tracer returned no span")
	}
	return started, span
}

// StartReceive starts the span of a received message. It returns the context for the message's
// handler, and the payload, which is message without its envelope. The payload shares memory with
// message. The span is never a child of a span in ctx; the handler's context inherits deadlines and
// values from ctx.
//
// Call End on the Processing when the message is handled. Code that reads a stream, and never has
// the whole message, passes nil. Then the span has no size, and the context in the message is not
// read.
func (m *Messages) StartReceive(ctx context.Context, typ websocket.MessageType, message []byte) (context.Context, []byte, Processing) {
	p := Processing{messages: m, start: time.Now()}
	payload := message
	var parent, carried trace.SpanContext
	if m.mode == envelopeMode {
		var tp, ts []byte
		payload, tp, ts = unwrap(message)
		if len(tp) > 0 {
			carried = carrier{string(tp), string(ts)}.spanContext()
		}
	}
	fromJSON := m.mode == jsonMode && typ == websocket.MessageText
	if m.trusted {
		if fromJSON {
			carried = extractJSON(payload).spanContext()
		}
		parent = carried
	}
	if r := m.decider.decide(parent); r != passed {
		m.in.instruments.suppressed[r].Add(1)
		p.ctx = trace.ContextWithSpanContext(ctx, unsampled(parent))
		p.kinded = newKinded(&p, typ, payload)
		return p.context(), payload, p
	}
	if fromJSON && !m.trusted {
		carried = extractJSON(payload).spanContext()
	}
	switch {
	case parent.IsValid():
		p.ctx, p.span = m.process.start(trace.ContextWithSpanContext(ctx, parent), m.in.tracer, false)
	case carried.IsValid():
		p.ctx, p.span = m.process.start(ctx, m.in.tracer, true, trace.WithLinks(trace.Link{SpanContext: carried}))
	default:
		p.ctx, p.span = m.process.start(ctx, m.in.tracer, true)
	}
	describe(p.span, typ, message != nil, len(payload))
	p.kinded = newKinded(&p, typ, payload)
	return p.context(), payload, p
}

// StartSend starts the span of a message to send. It returns a context with the span, and the
// message to write, which is payload with the context in it. If there is nothing to add, the
// message is payload itself. The span is a child of the span in ctx. It is a root if ctx has no
// span, or has the span of the handshake.
//
// Call End on the Sending when the message has been written, or has failed. If a policy refuses the
// span, the message carries the span context in ctx, if there is one. To send a stream, pass a nil
// payload, and write the returned bytes first.
func (m *Messages) StartSend(ctx context.Context, typ websocket.MessageType, payload []byte) (context.Context, []byte, Sending) {
	ctx, sc, s := m.startSend(ctx, typ, payload)
	return ctx, encode(m.mode, typ, payload, sc), s
}

func (m *Messages) startSend(ctx context.Context, typ websocket.MessageType, payload []byte) (context.Context, trace.SpanContext, Sending) {
	parent := trace.SpanContextFromContext(ctx)
	if parent.TraceID() == m.handshake.TraceID() && parent.SpanID() == m.handshake.SpanID() {
		parent = trace.SpanContext{}
	}
	if r := m.decider.decide(parent); r != passed {
		m.in.instruments.suppressed[r].Add(1)
		return ctx, parent, Sending{}
	}
	ctx, span := m.send.start(ctx, m.in.tracer, !parent.IsValid())
	describe(span, typ, payload != nil, len(payload))
	if m.in.kinds != nil {
		m.in.setKind(span, m.kindOf(typ, payload, false))
	}
	return ctx, span.SpanContext(), Sending{span}
}

func describe(s trace.Span, typ websocket.MessageType, sized bool, size int) {
	defer contain(nil)
	if !s.IsRecording() {
		return
	}
	if sized {
		s.SetAttributes(opcode(typ), keyBodySize.Int(size))
		return
	}
	s.SetAttributes(opcode(typ))
}

// encode returns payload in the form of mode m, with the context sc.
func encode(m mode, typ websocket.MessageType, payload []byte, sc trace.SpanContext) []byte {
	switch {
	case m == envelopeMode:
		return wrap(payload, carrierOf(sc))
	case m == jsonMode && typ == websocket.MessageText && sc.IsValid():
		return injectJSON(payload, carrierOf(sc))
	}
	return payload
}
