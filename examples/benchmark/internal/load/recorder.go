package load

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Times are recorded from a microsecond to a minute, with three digits.
const (
	maxTime = time.Minute
	digits  = 3
)

// recorder is a histogram of times, in several parts, so that connections rarely contend.
type recorder struct {
	next  atomic.Uint32
	parts []*part
}

type part struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, maxTime.Microseconds(), digits)
}

func newRecorder() *recorder {
	r := &recorder{parts: make([]*part, 8*runtime.GOMAXPROCS(0))}
	for i := range r.parts {
		r.parts[i] = &part{h: newHistogram()}
	}
	return r
}

func (r *recorder) part() *part { return r.parts[int(r.next.Add(1))%len(r.parts)] }

func (p *part) record(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.h.RecordValue(min(max(d, time.Microsecond), maxTime).Microseconds())
}

// total returns the sum of the parts. Nobody may record at the same time.
func (r *recorder) total() *hdrhistogram.Histogram {
	h := newHistogram()
	for _, p := range r.parts {
		h.Merge(p.h)
	}
	return h
}
