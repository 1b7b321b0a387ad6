package tracing

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// WithMessageKinds adds the attribute kind to ws.message.process.duration,
// ws.client.message.process.duration, and the spans of messages. The arguments are the same as those of
// the option of this name in package otelws. With equal arguments, both packages see equal kinds. A
// handler can set a kind that only it knows by [SetMessageKind].
//
// Each kind, including [messagekind.Other] and [messagekind.None], has its own histogram, and one more
// for each value of error.type. So n kinds have at most 3n histograms on each side.
func WithMessageKinds(reader messagekind.Reader, kinds ...string) Option {
	return optionFunc(func(c *config) {
		declared, err := messagekind.Declare(reader, kinds...)
		switch {
		case err != nil:
			c.errs = append(c.errs, fmt.Errorf("message kinds: %w", err))
		case c.kinds != nil:
			c.errs = append(c.errs, errors.New("message kinds are declared twice"))
		default:
			c.kinds = declared
		}
	})
}

// declare prepares the attributes of the kinds. kinds is nil without kinds.
func (i *Instrumentation) declare(kinds *messagekind.Kinds) {
	if i.kinds = kinds; kinds == nil {
		i.processed = [][outcomes][]metric.RecordOption{newProcessOptions()}
		return
	}
	for _, name := range kinds.Names() {
		attr := keyKind.String(name)
		i.kindAttrs = append(i.kindAttrs, attr)
		i.processed = append(i.processed, newProcessOptions(attr))
	}
}

// SetMessageKind sets the kind of a received message while its handler runs. ctx must be the context
// from [Conn.Serve] or [Messages.StartReceive]. A kind that is not declared is recorded as
// [messagekind.Other].
//
// It returns an error, and changes nothing, if ctx is another context, or if no [WithMessageKinds]
// declares kinds. After the message has been handled, it does nothing.
func SetMessageKind(ctx context.Context, kind string) error {
	m, _ := ctx.Value(kindedKey{}).(*kinded)
	if m == nil {
		return fmt.Errorf("tracing: failed to set the message kind %q: the context is not the context of a message of a tracing.New with WithMessageKinds", kind)
	}
	place := m.in.kinds.Place(kind)
	m.kind.Store(int32(place))
	m.in.setKind(m.span, place)
	return nil
}

// kinded is the context of a message with a kind.
type kinded struct {
	context.Context
	in   *Instrumentation
	span trace.Span // nil if it was suppressed
	kind atomic.Int32
}

type kindedKey struct{}

func (m *kinded) Value(key any) any {
	if key == (kindedKey{}) {
		return m
	}
	return m.Context.Value(key)
}

// kindOf returns the place of the kind of a message. The payload of a stream is nil, and its kind is
// Other.
func (m *Messages) kindOf(typ websocket.MessageType, payload []byte, received bool) int {
	kinds := m.in.kinds
	if payload == nil {
		return kinds.Place(messagekind.Other)
	}
	return kinds.Read(messagekind.Message{
		Prefix: payload, Whole: true, Text: typ == websocket.MessageText, FromClient: received == (m.role == 0),
	})
}

// newKinded returns the context of p's message, with the kind of the message. It returns nil without
// kinds.
func newKinded(p *Processing, typ websocket.MessageType, payload []byte) *kinded {
	in := p.messages.in
	if in.kinds == nil {
		return nil
	}
	k := &kinded{Context: p.ctx, in: in, span: p.span}
	place := p.messages.kindOf(typ, payload, true)
	k.kind.Store(int32(place))
	in.setKind(k.span, place)
	return k
}

// setKind sets the kind on the span of a message, unless s is nil.
func (i *Instrumentation) setKind(s trace.Span, place int) {
	defer contain(nil)
	if s != nil && s.IsRecording() {
		s.SetAttributes(i.kindAttrs[place])
	}
}

// context returns the context for the handler.
func (p *Processing) context() context.Context {
	if p.kinded != nil {
		return p.kinded
	}
	return p.ctx
}

// outcome is how the handling of a message has ended.
type outcome int

const (
	outcomeDone outcome = iota
	outcomeError
	outcomePanic
	outcomes
)

// newProcessOptions returns the options of the handler times of messages with attrs, by outcome.
func newProcessOptions(attrs ...attribute.KeyValue) (opts [outcomes][]metric.RecordOption) {
	for o, with := range [outcomes][]attribute.KeyValue{outcomeError: {errorOther}, outcomePanic: {errorPanic}} {
		if with = append(with, attrs...); len(with) > 0 {
			opts[o] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(with...))}
		}
	}
	return opts
}

// options returns the options of the handler time of p.
func (p *Processing) options(o outcome) []metric.RecordOption {
	in := p.messages.in
	if p.kinded == nil {
		return in.processed[0][o]
	}
	return in.processed[p.kinded.kind.Load()][o]
}
