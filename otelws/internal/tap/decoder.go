package tap

import (
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
)

// decoder is the [frame.Decoder] of one direction. It measures compressed
// messages.
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
	if d.counter == nil {
		return -1
	}
	n, ok := d.counter.Finish()
	counters.Put(d.counter)
	d.counter = nil
	if !ok {
		return -1
	}
	return n
}
