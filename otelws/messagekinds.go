package otelws

import (
	"errors"
	"fmt"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// WithMessageKinds adds the counters ws.messages and ws.messages.size. They count messages, and the
// bytes of their payloads, by direction and kind. reader reads the kind from the first bytes of a
// message; package messagekind has a reader for each common protocol.
//
// kinds are the kinds to count by name, in addition to the kinds that the protocol of the reader
// defines. All other kinds are recorded as [messagekind.Other], and messages without a kind as
// [messagekind.None]. So no peer can add a time series.
//
// The option applies to accepted and dialed connections. The counters belong to
// [MessageInstruments]. The sizes are the same as in ws.message and ws.message.sent.
//
// Only this option makes the tap read payloads: the first 512 bytes of a message, or as many as
// [messagekind.Reader.Within] says. It keeps them only until it has read the kind. A message that
// arrives in one frame and one Read, or leaves in one Write, costs about 100 ns, and allocates
// nothing.
//
// A compressed message (permessage-deflate) is decompressed only as far as the kind needs. However,
// if the handshake negotiated context takeover for a direction, a message may refer to earlier
// messages. Then all messages of that direction are decompressed, and the connection keeps the last
// 32 KiB of them, or less if a smaller window was negotiated. A compressed message of 200 bytes
// costs about 3 to 5 µs. A connection without compression, or with no_context_takeover for both
// directions, needs about 600 bytes of memory.
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

// WithSizesByKind adds the kind of [WithMessageKinds] to ws.message and ws.message.sent, too. Each
// kind then has its own histogram: about ten time series in each direction.
func WithSizesByKind() Option {
	return optionFunc(func(c *config) { c.sizesByKind = true })
}
