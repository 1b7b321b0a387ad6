// Package inspect looks into messages as they pass: it measures compressed messages, and reads the
// kinds of messages. It keeps no more of a message than its beginning, and the window of DEFLATE.
package inspect

import (
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// Options are the settings of an Inspector.
type Options struct {
	Decode     bool                // whether it measures compressed messages
	Kinds      *Kinds              // reads the kinds of messages; nil if they are not read
	Payload    func([]byte) []byte // returns the part of a message that has the kind; nil if that is the whole message
	Extensions upgrade.Extensions
	FromClient bool
}

// Inspector looks into the messages of one direction of one connection. It is a [frame.Inspector].
type Inspector struct {
	sizer *sizer      // nil if sizes are not measured
	kinds *kindReader // nil if kinds are not read
}

// New returns an Inspector. With an extension other than permessage-deflate, payloads may not be
// DEFLATE. Then neither the sizes nor the kinds of messages with an RSV bit are known.
func New(o Options) Inspector {
	var i Inspector
	if o.Decode && o.Extensions.RSV == frame.RSV1 {
		i.sizer = new(sizer)
	}
	if o.Kinds != nil {
		i.kinds = newKindReader(o)
	}
	return i
}

// Attach makes p call i, if i has anything to look for.
func (i *Inspector) Attach(p *frame.Parser) {
	if i.sizer == nil && i.kinds == nil {
		return
	}
	p.Inspect(i, i.kinds != nil)
	if i.kinds != nil && i.kinds.stream != nil {
		p.InspectInOrder()
	}
}

// Kind returns the kind of a frame that is a whole message, with size bytes of payload and without
// RSV bits. Like [frame.Parser.Whole], it is safe for concurrent use.
func (i *Inspector) Kind(f []byte, size int) int { return i.kinds.whole(f, size) }

// Whole implements [frame.Inspector].
func (i *Inspector) Whole(f []byte, size int) (kind int32) { return int32(i.Kind(f, size)) }

// Begin implements [frame.Inspector].
func (i *Inspector) Begin(first byte) {
	if i.sizer != nil {
		i.sizer.begin(first)
	}
	if i.kinds != nil {
		i.kinds.begin(first)
	}
}

// Payload implements [frame.Inspector].
func (i *Inspector) Payload(b []byte, key [4]byte, offset int64) {
	if i.sizer != nil {
		i.sizer.payload(b, key, offset)
	}
	if i.kinds != nil {
		i.kinds.payload(b, key, offset)
	}
}

// End implements [frame.Inspector].
func (i *Inspector) End() (decoded int64, kind int32) {
	decoded = -1
	if i.sizer != nil {
		decoded = i.sizer.end()
	}
	if i.kinds != nil {
		kind = int32(i.kinds.end())
	}
	return decoded, kind
}
