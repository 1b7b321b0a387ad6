package otelws

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

const keyKind = attribute.Key("kind")

// WithMessageKinds adds the counters ws.messages and ws.messages.size, of messages
// and of the bytes of their payload, by direction and kind. reader reads the kind of
// each message from its first bytes; package messagekind has one for each common
// protocol. kinds are those that are counted by their names, beside those that the
// protocol of the reader defines. All others are [messagekind.Other], and messages
// without a kind are [messagekind.None], so that no peer can add a series.
//
// It is for accepted and dialed connections. Where [WithAttributesOn] has
// MessageInstruments carry the attributes of the application, these counters do.
// Sizes are those of ws.message and ws.message.sent.
//
// With this option, and only with it, payloads are looked at: the first 512 bytes of
// a message, or as many as [messagekind.Reader.Within] says. They are kept no longer
// than it takes to read the kind. A message that is whole in one frame, and one Read
// or Write, costs some 100 ns, and allocates nothing.
//
// Compressed messages (permessage-deflate) are inflated as far as the kind needs it.
// Where the handshake has agreed on context takeover for a direction, a message may
// copy from those before it: then all of its messages are inflated, and the last 32
// KiB of them are kept from the first compressed message on, or as much as the
// window that was agreed on has. A connection that has negotiated no_context_takeover
// for both directions, or no compression, takes some 600 bytes in all. A compressed
// message of 200 bytes costs some 3 to 5 µs.
func WithMessageKinds(reader messagekind.Reader, kinds ...string) Option {
	return optionFunc(func(c *config) {
		declared, err := messagekind.Declare(reader, kinds...)
		switch {
		case err != nil:
			c.errs = append(c.errs, fmt.Errorf("message kinds: %w", err))
		case c.kinds != nil:
			c.errs = append(c.errs, errors.New("message kinds are declared twice: one reader reads the messages of all connections"))
		default:
			c.kinds = declared
		}
	})
}

// WithSizesByKind has ws.message and ws.message.sent carry the kind of
// [WithMessageKinds] too. Each kind is a histogram of its own then: about ten time
// series in each direction.
func WithSizesByKind() Option {
	return optionFunc(func(c *config) { c.sizesByKind = true })
}

// checkKinds returns an error where the options for kinds do not fit each other.
func (c *config) checkKinds() error {
	if c.sizesByKind && c.kinds == nil {
		return errors.New("WithSizesByKind has no kinds: declare them by WithMessageKinds")
	}
	return nil
}

// kindNames returns the names of all kinds, nil where none are declared.
func (c *config) kindNames() []string {
	if c.kinds == nil {
		return nil
	}
	return c.kinds.Names()
}

// newKindOptions returns the options of the counters by kind, for a series of
// messages with attrs.
func newKindOptions(attrs []attribute.KeyValue, kinds []string) (all [count.Directions][]options) {
	for d, direction := range directionNames {
		for _, kind := range kinds {
			all[d] = append(all[d], newOptions(append(attrs[:len(attrs):len(attrs)],
				keyDirection.String(direction), keyKind.String(kind))...))
		}
	}
	return all
}

// observeKinds reports the counters by kind.
func (s *side) observeKinds(o metric.Observer, m *messageSeries) {
	for d, kinds := range m.kinds {
		if len(kinds) == 0 {
			return
		}
		for k, sum := range count.KindsOf(m.counts, count.Direction(d), len(kinds)) {
			o.ObserveInt64(s.instruments.messagesByKind, sum.Messages, kinds[k].observe...)
			o.ObserveInt64(s.instruments.messagesSizeByKind, sum.Bytes, kinds[k].observe...)
		}
	}
}
