package load

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is what longer times are recorded as.
const longest = 10 * time.Minute

// recorder keeps times in HDR histograms, to three digits. It is safe for
// concurrent use.
type recorder struct{ shards []shard }

type shard struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
	_  [64]byte
}

func newRecorder() *recorder {
	r := &recorder{shards: make([]shard, runtime.GOMAXPROCS(0))}
	for n := range r.shards {
		r.shards[n].h = hdrhistogram.New(100, int64(longest), 3)
	}
	return r
}

func (r *recorder) record(number int64, d time.Duration) {
	s := &r.shards[int(number%int64(len(r.shards)))]
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.h.RecordValue(int64(min(max(d, 0), longest)))
}

// Latency is a distribution of times, in seconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func (r *recorder) latency() Latency {
	all := hdrhistogram.New(100, int64(longest), 3)
	for n := range r.shards {
		s := &r.shards[n]
		s.mu.Lock()
		all.Merge(s.h)
		s.mu.Unlock()
	}
	seconds := func(ns int64) float64 { return float64(ns) / 1e9 }
	return Latency{
		Count: all.TotalCount(),
		Mean:  all.Mean() / 1e9,
		P50:   seconds(all.ValueAtQuantile(50)),
		P90:   seconds(all.ValueAtQuantile(90)),
		P99:   seconds(all.ValueAtQuantile(99)),
		P999:  seconds(all.ValueAtQuantile(99.9)),
		Max:   seconds(all.Max()),
	}
}
