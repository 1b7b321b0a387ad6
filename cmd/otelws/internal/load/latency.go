package load

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the maximum time in a histogram. A longer time is recorded as longest.
const longest = 10 * time.Minute

// recorder records times in HDR histograms, with a precision of three digits. It is safe for
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
		r.shards[n].h = newHistogram()
	}
	return r
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(100, int64(longest), 3) }

func (r *recorder) record(number int64, d time.Duration) {
	s := &r.shards[int(number%int64(len(r.shards)))]
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.h.RecordValue(int64(min(max(d, 0), longest)))
}

// Latency is a distribution of times, in seconds.
type Latency struct {
	Count   int64    `json:"count"`
	Mean    float64  `json:"mean"`
	P50     float64  `json:"p50"`
	P90     float64  `json:"p90"`
	P95     float64  `json:"p95"`
	P99     float64  `json:"p99"`
	P999    float64  `json:"p999"`
	Max     float64  `json:"max"`
	Buckets []Bucket `json:"buckets"` // from the shortest time to the longest
}

// Bucket counts the times up to its bound, and above the bound of the previous bucket.
type Bucket struct {
	To    float64 `json:"to"`
	Count int64   `json:"count"`
}

// latency returns the distribution, or nil if nothing was recorded.
func (r *recorder) latency() *Latency {
	all := newHistogram()
	for n := range r.shards {
		s := &r.shards[n]
		s.mu.Lock()
		all.Merge(s.h)
		s.mu.Unlock()
	}
	if all.TotalCount() == 0 {
		return nil
	}
	at := func(quantile float64) float64 { return time.Duration(all.ValueAtQuantile(quantile)).Seconds() }
	return &Latency{
		Count: all.TotalCount(),
		Mean:  all.Mean() / 1e9,
		P50:   at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9),
		Max:     time.Duration(all.Max()).Seconds(),
		Buckets: buckets(all),
	}
}

// buckets returns buckets with the bounds 1, 2 and 5 µs, times powers of ten.
func buckets(h *hdrhistogram.Histogram) (all []Bucket) {
	bars := h.Distribution()
	step := 0
	for bound := time.Microsecond; ; step++ {
		var count int64
		for ; len(bars) > 0 && bars[0].From <= int64(bound); bars = bars[1:] {
			count += bars[0].Count
		}
		if count > 0 || len(all) > 0 {
			all = append(all, Bucket{bound.Seconds(), count})
		}
		if bound >= time.Duration(h.Max()) {
			return all
		}
		if step%3 == 1 {
			bound = bound * 5 / 2
		} else {
			bound *= 2
		}
	}
}
