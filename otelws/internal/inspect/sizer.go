package inspect

import (
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

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
