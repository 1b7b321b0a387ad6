package inspect

import (
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// Kinds reads the kinds of messages, for all connections with the same declaration.
type Kinds struct {
	declared  *messagekind.Kinds
	other     int
	buffers   sync.Pool // of *[]byte
	inflaters sync.Pool // of *inflater
}

// NewKinds returns the Kinds of a declaration.
func NewKinds(declared *messagekind.Kinds) *Kinds {
	k := &Kinds{declared: declared, other: declared.Place(messagekind.Other)}
	k.buffers.New = func() any {
		b := make([]byte, 0, declared.Prefix())
		return &b
	}
	alone := 0 // no message needs more than its prefix
	if declared.Stream() != nil {
		alone = upgrade.MaxWindowBits
	}
	k.inflaters.New = func() any {
		return &inflater{
			alone:  deflate.NewWindow(alone, k.inflated()),
			prefix: make([]byte, 0, k.inflated()),
		}
	}
	return k
}

// inflated is the number of bytes of a compressed message to decompress. It is one more than are
// read, to know whether there are more.
func (k *Kinds) inflated() int { return k.declared.Prefix() + 1 }

// inflater has the buffers for decompressing a message.
type inflater struct {
	deflate.Inflater
	alone  *deflate.Window // of a message that does not refer to earlier messages
	prefix []byte
}

// kindReader reads the kinds of the messages of one direction.
type kindReader struct {
	of         *Kinds
	fromClient bool
	part       func([]byte) []byte // Options.Payload
	deflate    bool                // RSV1 belongs to permessage-deflate
	takeover   bool                // compressed messages may refer to earlier messages
	windowBits int
	window     *deflate.Window     // of the earlier messages; nil before the first one, or if it is lost
	stream     *messagekind.Stream // nil if the protocol has no stream
	toStream   func([]byte)

	// The message in progress.
	text, known bool
	empty       bool // true so far
	kind        int
	prefix      *[]byte // nil before the first byte, and after the kind is known
	inflater    *inflater
}

func newKindReader(o Options) *kindReader {
	e := &o.Extensions
	r := &kindReader{of: o.Kinds, part: o.Payload, fromClient: o.FromClient, deflate: e.RSV == frame.RSV1}
	c := e.Server
	if o.FromClient {
		c = e.Client
	}
	r.takeover, r.windowBits = !c.Alone, c.WindowBits
	if r.stream = o.Kinds.declared.Stream(); r.stream != nil {
		r.toStream = r.stream.Write
	}
	return r
}

// whole returns the kind of a message that is one frame without an RSV bit. It does not change r.
func (r *kindReader) whole(f []byte, size int) int {
	n := min(size, r.of.declared.Prefix())
	text := frame.Opcode(f[0]&0x0f) == frame.Text
	payload := f[len(f)-size:]
	if !r.fromClient {
		return r.kindOf(payload[:n], n == size, text)
	}
	buffer := r.of.buffers.Get().(*[]byte)
	prefix := appendUnmasked((*buffer)[:0], payload[:n], [4]byte(f[len(f)-size-4:]), 0)
	kind := r.kindOf(prefix, n == size, text)
	r.of.buffers.Put(buffer)
	return kind
}

// kindOf returns the kind of a message that begins with prefix.
func (r *kindReader) kindOf(prefix []byte, whole, text bool) int {
	if r.part != nil {
		prefix = r.part(prefix)
	}
	return r.of.declared.Read(messagekind.Message{Prefix: prefix, Whole: whole, Text: text, FromClient: r.fromClient})
}

func (r *kindReader) begin(first byte) {
	r.text = frame.Opcode(first&0x0f) == frame.Text
	r.known, r.empty, r.kind = false, true, r.of.other
	if r.stream != nil {
		r.stream.Begin()
		r.known = r.text // a text message is not part of the stream
	}
	switch rsv := first & (frame.RSV1 | frame.RSV2 | frame.RSV3); {
	case rsv == 0:
	case rsv != frame.RSV1 || !r.deflate:
		r.known = true // it cannot become known
	default:
		r.beginCompressed()
	}
}

func (r *kindReader) beginCompressed() {
	if r.takeover && r.window == nil {
		if r.windowBits == 0 { // it was lost
			r.known = true
			return
		}
		r.window = deflate.NewWindow(r.windowBits, r.of.inflated())
	}
	r.inflater = r.of.inflaters.Get().(*inflater)
	w := r.window
	if w == nil {
		w = r.inflater.alone
		w.Reset()
	}
	r.inflater.Reset(w, r.inflater.prefix, r.takeover || r.stream != nil)
	if r.stream != nil {
		r.inflater.PassTo(r.toStream)
	}
}

func (r *kindReader) payload(b []byte, key [4]byte, offset int64) {
	if len(b) == 0 {
		return
	}
	r.empty = false
	switch {
	case r.stream != nil:
		r.toStreamMasked(b, key, offset)
	case r.inflater != nil:
		r.inflater.FeedMasked(b, key, offset)
		if prefix, ok := r.inflater.Prefix(); ok && !r.known {
			r.read(prefix, false)
			if !r.takeover {
				r.release()
			}
		}
	case r.known:
	default:
		if r.prefix == nil {
			r.prefix = r.of.buffers.Get().(*[]byte)
			*r.prefix = (*r.prefix)[:0]
		}
		room := cap(*r.prefix) - len(*r.prefix)
		if len(b) > room { // otherwise it may be whole
			r.read(appendUnmasked(*r.prefix, b[:room], key, offset), false)
			r.release()
			return
		}
		*r.prefix = appendUnmasked(*r.prefix, b, key, offset)
	}
}

// toStreamMasked is payload for messages that are pieces of a stream.
func (r *kindReader) toStreamMasked(b []byte, key [4]byte, offset int64) {
	switch {
	case r.inflater != nil:
		r.inflater.FeedMasked(b, key, offset)
	case r.known: // it cannot be read
		r.stream.Lose()
	default:
		r.stream.WriteMasked(b, key, offset)
	}
}

// read reads the kind of the message in progress.
func (r *kindReader) read(prefix []byte, whole bool) {
	r.known = true
	r.kind = r.kindOf(prefix, whole, r.text)
}

// release returns the buffers of the message.
func (r *kindReader) release() {
	if r.prefix != nil {
		r.of.buffers.Put(r.prefix)
		r.prefix = nil
	}
	if r.inflater != nil {
		r.inflater.Release()
		r.of.inflaters.Put(r.inflater)
		r.inflater = nil
	}
}

// end ends the message, and returns its kind.
func (r *kindReader) end() int {
	switch {
	case r.stream != nil:
		r.endOfStream()
	case r.empty && !r.known:
		r.read(nil, true)
	case r.inflater != nil:
		r.endCompressed()
	case !r.known:
		r.read(*r.prefix, true)
	}
	r.release()
	return r.kind
}

func (r *kindReader) endOfStream() {
	if r.inflater != nil && !r.empty && !r.finish() {
		r.stream.Lose()
	}
	r.kind = r.stream.End()
}

func (r *kindReader) endCompressed() {
	if ok := r.finish(); ok && !r.known {
		prefix, _ := r.inflater.Prefix()
		r.read(prefix, true)
	}
}

// finish ends the decompression of a message. It reports whether the message was valid to its end.
func (r *kindReader) finish() bool {
	ok := r.inflater.Finish()
	if !ok && r.takeover { // later messages may refer to the missing bytes
		r.window, r.windowBits = nil, 0
	}
	return ok
}
