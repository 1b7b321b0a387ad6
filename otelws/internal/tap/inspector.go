package tap

import (
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/deflate"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// inspector is the [frame.Inspector] of one direction. It measures compressed messages and reads
// the kinds of messages, if the Opening asks for that.
type inspector struct {
	sizer *sizer
	kinds *kindReader
}

func (i *inspector) Whole(f []byte, size int) (kind int32) { return int32(i.kinds.whole(f, size)) }

func (i *inspector) Begin(first byte) {
	if i.sizer != nil {
		i.sizer.begin(first)
	}
	if i.kinds != nil {
		i.kinds.begin(first)
	}
}

func (i *inspector) Payload(b []byte, key [4]byte, offset int64) {
	if i.sizer != nil {
		i.sizer.payload(b, key, offset)
	}
	if i.kinds != nil {
		i.kinds.payload(b, key, offset)
	}
}

func (i *inspector) End() (decoded int64, kind int32) {
	decoded = -1
	if i.sizer != nil {
		decoded = i.sizer.end()
	}
	if i.kinds != nil {
		kind = int32(i.kinds.end())
	}
	return decoded, kind
}

// inspect makes the parsers look into messages, as the Opening asks. With an extension other than
// permessage-deflate, payloads may not be DEFLATE. Then neither the sizes nor the kinds of messages
// with an RSV bit are known.
func (s *session) inspect(o Opening, e upgrade.Extensions) {
	sizes := o.Decode && e.RSV == frame.RSV1
	if !sizes && o.Kinds == nil {
		return
	}
	inspectors := new([count.Directions]inspector)
	for d := range inspectors {
		i := &inspectors[d]
		if sizes {
			i.sizer = new(sizer)
		}
		if o.Kinds != nil {
			i.kinds = newKindReader(o, e, s.conn.accepted == (count.Direction(d) == count.Receive))
		}
		parser := &s.stream(count.Direction(d)).parser
		parser.Inspect(i, o.Kinds != nil)
		if i.kinds != nil && i.kinds.stream != nil {
			parser.InspectInOrder()
		}
	}
	if o.Kinds != nil {
		s.kinds = &kinds{shard: o.KindShard, inspectors: inspectors}
	}
}

// sizer measures compressed messages.
type sizer struct {
	compressed bool
	counter    *deflate.Counter // of the message in progress
}

var counters = sync.Pool{New: func() any { return new(deflate.Counter) }}

func (s *sizer) begin(first byte) { s.compressed = first&frame.RSV1 != 0 }

func (s *sizer) payload(b []byte, key [4]byte, offset int64) {
	if !s.compressed {
		return
	}
	if s.counter == nil {
		s.counter = counters.Get().(*deflate.Counter)
		s.counter.Reset()
	}
	s.counter.FeedMasked(b, key, offset)
}

// end returns the decoded size of the message, or -1 if it is invalid or not compressed.
func (s *sizer) end() int64 {
	if s.counter == nil {
		return -1
	}
	n, ok := s.counter.Finish()
	counters.Put(s.counter)
	s.counter = nil
	if !ok {
		return -1
	}
	return n
}
