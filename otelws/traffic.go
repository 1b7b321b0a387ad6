package otelws

import (
	"runtime"
	"sync/atomic"
	"time"
)

// epoch is what instants are measured from: a difference of two monotonic
// readings costs half of what time.Now does.
var epoch = time.Now()

// instant is a time since epoch.
type instant = time.Duration

func now() instant { return time.Since(epoch) }

// traffic counts what passes on the wire. A connection is given one shard at
// its opening, so that connections of different cores rarely meet on one.
type traffic struct {
	shards      []shard
	compression []compressionShard // by WithDecodedSizes
	next        atomic.Uint32

	reported atomic.Int64 // the greatest write time reported, in ns
}

// shard fills two cache lines of its own.
type shard struct {
	frames [2][len(opcodes)]atomic.Int64
	bytes  [2]atomic.Int64

	written atomic.Int64 // ns, of writes that have ended
	writing writing
}

// shardsFor is how many shards each of a number of series is given: a few for
// each core, unless the series are so many that they spread the load themselves.
func shardsFor(series int) int {
	n := 4
	for n < 4*runtime.GOMAXPROCS(0) && n < 256 {
		n *= 2
	}
	for n > 1 && n*series > maxShards {
		n /= 2
	}
	return n
}

// maxShards bounds the shards of all series together, to a megabyte or two.
const maxShards = 8192

func (t *traffic) shard() *shard {
	return &t.shards[t.next.Add(1)%uint32(len(t.shards))]
}

func (t *traffic) frames(d direction, opcode int) (n int64) {
	for i := range t.shards {
		n += t.shards[i].frames[d][opcode].Load()
	}
	return n
}

func (t *traffic) bytes(d direction) (n int64) {
	for i := range t.shards {
		n += t.shards[i].bytes[d].Load()
	}
	return n
}

// writeTime is the time that writes took, those in progress included. It never
// goes back: a write that ends between the two loads is left to the next call.
func (t *traffic) writeTime() time.Duration {
	at := now()
	var sum int64
	for i := range t.shards {
		sum += t.shards[i].written.Load()
		sum += int64(t.shards[i].writing.elapsed(at))
	}
	for {
		last := t.reported.Load()
		if sum <= last {
			return time.Duration(last)
		}
		if t.reported.CompareAndSwap(last, sum) {
			return time.Duration(sum)
		}
	}
}

func (s *shard) beginWrite(at instant) { s.writing.add(at) }

func (s *shard) endWrite(start, end instant) {
	// In this order: a collection between the two must not see the write twice.
	s.writing.remove(start)
	s.written.Add(int64(end - start))
}

// writing is the number of writes in progress and the sum of their starts, in
// one word so that both are read together: 20 bits of number, and above them
// 44 bits of milliseconds, whose differences are taken modulo 2^44.
type writing struct{ word atomic.Uint64 }

const (
	writingBits = 20
	writingMask = 1<<writingBits - 1
)

func (w *writing) add(start instant)    { w.word.Add(milliseconds(start)<<writingBits + 1) }
func (w *writing) remove(start instant) { w.word.Add(-(milliseconds(start)<<writingBits + 1)) }

func (w *writing) elapsed(at instant) time.Duration {
	word := w.word.Load()
	n, starts := word&writingMask, word>>writingBits
	ms := (n*milliseconds(at) - starts) << writingBits >> writingBits
	if ms>>(64-writingBits-1) != 0 { // a write began after at
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func milliseconds(t instant) uint64 { return uint64(t / time.Millisecond) }
