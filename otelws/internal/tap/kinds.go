package tap

import (
	"encoding/binary"
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/deflate"
	"github.com/otelws/otelws-go/otelws/internal/frame"
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
		alone = maxWindowBits
	}
	k.inflaters.New = func() any {
		return &inflater{
			alone:  deflate.NewWindow(alone, k.inflated()),
			prefix: make([]byte, 0, k.inflated()),
		}
	}
	return k
}

// inflated is how many bytes of a compressed message are inflated: one more than are
// read, to tell whether there are more.
func (k *Kinds) inflated() int { return k.declared.Prefix() + 1 }

// inflater is what the inflating of a message takes.
type inflater struct {
	deflate.Inflater
	alone  *deflate.Window // of a message that needs none of those before it
	prefix []byte
}

// kinds is what a session has for the kinds of its messages.
type kinds struct {
	shard      *count.KindShard
	inspectors *[count.Directions]inspector
}

// of returns the kind of b, which is a single message with size bytes of payload. Like
// frame.Parser.Whole, it needs no lock.
func (k *kinds) of(d count.Direction, b []byte, size int) int {
	return k.inspectors[d].kinds.whole(b, size)
}

// kindReader reads the kinds of the messages of one direction.
type kindReader struct {
	of         *Kinds
	fromClient bool
	part       func([]byte) []byte // Opening.Payload
	deflate    bool                // RSV1 is that of permessage-deflate
	takeover   bool                // compressed messages may copy from those before them
	windowBits int
	window     *deflate.Window     // of these, nil before the first and where it is lost
	stream     *messagekind.Stream // nil where each message stands for itself
	toStream   func([]byte)

	// Of the message that is under way.
	text, known bool
	empty       bool // so far
	kind        int
	prefix      *[]byte // nil without a byte, or once the kind is known
	inflater    *inflater
}

func newKindReader(o Opening, e extensions, fromClient bool) *kindReader {
	r := &kindReader{of: o.Kinds, part: o.Payload, fromClient: fromClient, deflate: e.rsv == frame.RSV1}
	c := e.server
	if fromClient {
		c = e.client
	}
	r.takeover, r.windowBits = !c.alone, c.windowBits
	if r.stream = o.Kinds.declared.Stream(); r.stream != nil {
		r.toStream = r.stream.Write
	}
	return r
}

// whole returns the kind of a message that is one frame, without an RSV bit. It
// changes nothing of r.
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
		r.known = r.text // which is no part of the stream
	}
	switch rsv := first & (frame.RSV1 | frame.RSV2 | frame.RSV3); {
	case rsv == 0:
	case rsv != frame.RSV1 || !r.deflate:
		r.known = true // it is not, and will not be
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
		if len(b) > room { // else it may be whole
			r.read(appendUnmasked(*r.prefix, b[:room], key, offset), false)
			r.release()
			return
		}
		*r.prefix = appendUnmasked(*r.prefix, b, key, offset)
	}
}

// toStreamMasked is payload where messages are pieces of a stream.
func (r *kindReader) toStreamMasked(b []byte, key [4]byte, offset int64) {
	switch {
	case r.inflater != nil:
		r.inflater.FeedMasked(b, key, offset)
	case r.known: // as one that cannot be read
		r.stream.Lose()
	default:
		r.stream.WriteMasked(b, key, offset)
	}
}

// read reads the kind of the message that is under way.
func (r *kindReader) read(prefix []byte, whole bool) {
	r.known = true
	r.kind = r.kindOf(prefix, whole, r.text)
}

// release gives back what the message has taken.
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

// finish ends the inflating of a message, and says whether all of it was valid.
func (r *kindReader) finish() bool {
	ok := r.inflater.Finish()
	if !ok && r.takeover { // what comes may copy from what is not there
		r.window, r.windowBits = nil, 0
	}
	return ok
}

// appendUnmasked appends b as it is without its mask (RFC 6455 section 5.3): key,
// where offset bytes of the frame's payload came before. The capacity of dst is known
// to take it.
func appendUnmasked(dst, b []byte, key [4]byte, offset int64) []byte {
	from := len(dst)
	dst = dst[:from+len(b)]
	to := dst[from:]
	var turned [4]byte
	for i := range turned {
		turned[i] = key[(offset+int64(i))&3]
	}
	k := uint64(binary.LittleEndian.Uint32(turned[:]))
	k |= k << 32
	for len(b) >= 32 {
		from, into := b[:32], to[:32]
		binary.LittleEndian.PutUint64(into, binary.LittleEndian.Uint64(from)^k)
		binary.LittleEndian.PutUint64(into[8:], binary.LittleEndian.Uint64(from[8:])^k)
		binary.LittleEndian.PutUint64(into[16:], binary.LittleEndian.Uint64(from[16:])^k)
		binary.LittleEndian.PutUint64(into[24:], binary.LittleEndian.Uint64(from[24:])^k)
		to, b = to[32:], b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(b)^k)
		to, b = to[8:], b[8:]
	}
	for i := range b {
		to[i] = b[i] ^ turned[i&3]
	}
	return dst
}
