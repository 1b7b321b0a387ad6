package otelws

import (
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
)

// decoding is what a connection has more where the sizes of its compressed
// messages are decoded.
type decoding struct {
	decoders [len(directions)]decoder
}

// decoder is the [frame.Decoder] of one direction.
type decoder struct {
	counter *deflate.Counter // of the message that is under way
}

var counters = sync.Pool{New: func() any { return new(deflate.Counter) }}

func (d *decoder) Payload(b []byte, key [4]byte, offset int64) {
	if d.counter == nil {
		d.counter = counters.Get().(*deflate.Counter)
		d.counter.Reset()
	}
	d.counter.FeedMasked(b, key, offset)
}

// End returns the decoded size of the message, and -1 where it is invalid.
func (d *decoder) End() int64 {
	n, ok := d.counter.Finish()
	counters.Put(d.counter)
	d.counter = nil
	if !ok {
		return -1
	}
	return n
}

// replay is the [frame.Decoder] of a Write that is read again: it gives what
// came out when the Write was read ahead. It holds no *write, which would move
// that of every Write to the heap.
type replay struct {
	decoded []int64
	last    int64
}

func (*replay) Payload([]byte, [4]byte, int64) {}

func (r *replay) End() int64 {
	if len(r.decoded) == 0 {
		return r.last
	}
	n := r.decoded[0]
	r.decoded = r.decoded[1:]
	return n
}
