package otelws

import (
	"math"
	"runtime"
	"sync/atomic"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// tally counts what passes on the wire and is one series of traffic and one of
// messages, for callbacks to report. A connection is given one shard at its
// opening, so that connections of different cores rarely meet on one.
type tally struct {
	masked [len(directions)]bool // frames
	shards []shard
	next   atomic.Uint32
}

func newTally(r role) *tally {
	t := new(tally)
	t.masked[receive] = r == server
	t.masked[transmit] = r == client
	return t
}

// shard is what some connections count, each direction in cache lines of its own.
type shard struct {
	whole [len(directions)][len(wholeOpcodes)]wholeMessages
	other [len(directions)]otherFrames
}

// wholeOpcodes are those of wholeMessages, by place.
var wholeOpcodes = [...]frame.Opcode{frame.Text, frame.Binary}

// wholeMessages counts the messages of up to maxWhole bytes that were one frame
// with the shortest header, and one Read or Write: as most are. How many there
// were in each class, and their sum, tell the frames, the bytes on the wire and
// the histogram. It fills a cache line.
type wholeMessages struct {
	count    [len(wholeClasses)]atomic.Int64
	sum      atomic.Int64
	extremes extremes
	writing  writing // of this direction, where it is transmit
}

// wholeClasses are the sizes up to which the messages of a class go: each class
// is in one bucket of sizeBounds and has one size of header.
var wholeClasses = [...]struct{ most, bucket, header int }{
	{64, 0, 2}, {125, 1, 2}, {256, 1, 4}, {1024, 2, 4}, {4096, 3, 4},
}

const maxWhole = 4096

// wholeMessages returns where those of an opcode are counted.
func (s *shard) wholeMessages(d direction, o frame.Opcode) *wholeMessages {
	return &s.whole[d][o-wholeOpcodes[0]]
}

// endWrite counts a write that was in progress in one of the shard's
// wholeMessages.
func (s *shard) endWrite(shared *writing, begun, at instant) {
	// In this order: a collection between the two must not see the write twice.
	shared.remove(begun)
	if at > begun {
		s.other[transmit].written.Add(int64(at - begun))
	}
}

func (w *wholeMessages) add(size int) {
	class := 0
	for size > wholeClasses[class].most {
		class++
	}
	w.count[class].Add(1)
	w.sum.Add(int64(size))
	w.extremes.add(uint32(size))
}

// extremes are the least and the greatest size since the last observation, each
// kept so that it only grows, and from 0.
type extremes struct{ word atomic.Uint64 }

func (e *extremes) add(size uint32) {
	for {
		word := e.word.Load()
		more := uint64(max(uint32(word>>32), size+1))<<32 | uint64(max(uint32(word), math.MaxUint32-size))
		if more == word || e.word.CompareAndSwap(word, more) {
			return
		}
	}
}

// reset begins a new observation, and returns the extremes of the last, which
// are in the wrong order where there was no size.
func (e *extremes) reset() (least, greatest int64) {
	word := e.word.Load()
	if word != 0 {
		word = e.word.Swap(0)
	}
	if word == 0 {
		return math.MaxInt64, math.MinInt64
	}
	return int64(math.MaxUint32 - uint32(word)), int64(word>>32) - 1
}

// otherFrames counts everything else in one direction. It fills three lines.
type otherFrames struct {
	bytes  atomic.Int64
	frames [len(opcodes)]atomic.Int64

	// Of the messages that end with one of these frames.
	sum      atomic.Int64
	buckets  [len(sizeBounds) + 1]atomic.Int64
	least    atomic.Int64 // since the last observation
	greatest atomic.Int64

	wire, decoded atomic.Int64 // of compressed messages, by WithDecodedSizes
	written       atomic.Int64 // ns, of writes that have ended, whole messages' too
	_             [24]byte
}

func (o *otherFrames) addMessage(size int64) {
	i := 0
	for i < len(sizeBounds) && float64(size) > sizeBounds[i] {
		i++
	}
	o.buckets[i].Add(1)
	o.sum.Add(size)
	for {
		least := o.least.Load()
		if size >= least || o.least.CompareAndSwap(least, size) {
			break
		}
	}
	for {
		greatest := o.greatest.Load()
		if size <= greatest || o.greatest.CompareAndSwap(greatest, size) {
			break
		}
	}
}

// resetExtremes begins a new observation of them, and returns those of the last.
func (o *otherFrames) resetExtremes() (least, greatest int64) {
	return o.least.Swap(math.MaxInt64), o.greatest.Swap(math.MinInt64)
}

// shardsFor is how many shards each of a number of tallies is given: a few for
// each core, unless the tallies are so many that they spread the load themselves.
func shardsFor(tallies int) int {
	n := 4
	for n < 4*runtime.GOMAXPROCS(0) && n < 256 {
		n *= 2
	}
	for n > 1 && n*tallies > maxShards {
		n /= 2
	}
	return n
}

// maxShards bounds the shards of all tallies of a side together, to 5 MB.
const maxShards = 8192

func (t *tally) makeShards(n int) {
	t.shards = make([]shard, n)
	for i := range t.shards {
		for d := range t.shards[i].other {
			t.shards[i].other[d].resetExtremes()
		}
	}
}

// shard returns the shard of the next connection.
func (t *tally) shard() *shard {
	return &t.shards[t.next.Add(1)%uint32(len(t.shards))]
}

// traffic is what tallies come to.
type traffic struct {
	frames        [len(directions)][len(opcodes)]int64
	bytes         [len(directions)]int64
	wire, decoded [len(directions)]int64
}

func trafficOf(tallies []*tally) *traffic {
	sum := new(traffic)
	for _, t := range tallies {
		for i := range t.shards {
			for d := range directions {
				t.shards[i].addTraffic(sum, direction(d), t.masked[d])
			}
		}
	}
	return sum
}

func (s *shard) addTraffic(sum *traffic, d direction, masked bool) {
	other := &s.other[d]
	for o := range other.frames {
		sum.frames[d][o] += other.frames[o].Load()
	}
	sum.bytes[d] += other.bytes.Load()
	sum.wire[d] += other.wire.Load()
	sum.decoded[d] += other.decoded.Load()
	for i := range s.whole[d] {
		w := &s.whole[d][i]
		for c, class := range wholeClasses {
			header := int64(class.header)
			if masked {
				header += 4
			}
			n := w.count[c].Load()
			sum.frames[d][opcodeIndex[wholeOpcodes[i]]] += n
			sum.bytes[d] += n * header
		}
		sum.bytes[d] += w.sum.Load()
	}
}

// histogram is what the messages of one direction come to.
type histogram struct {
	counts          [len(sizeBounds) + 1]uint64
	sum             int64
	least, greatest int64 // since the last time, in the wrong order where there was none
}

func histogramOf(tallies []*tally, d direction) *histogram {
	h := &histogram{least: math.MaxInt64, greatest: math.MinInt64}
	extremes := func(least, greatest int64) {
		h.least, h.greatest = min(h.least, least), max(h.greatest, greatest)
	}
	for _, t := range tallies {
		for i := range t.shards {
			other := &t.shards[i].other[d]
			for b := range other.buckets {
				h.counts[b] += uint64(other.buckets[b].Load())
			}
			h.sum += other.sum.Load()
			extremes(other.resetExtremes())
			for o := range t.shards[i].whole[d] {
				w := &t.shards[i].whole[d][o]
				for c, class := range wholeClasses {
					h.counts[class.bucket] += uint64(w.count[c].Load())
				}
				h.sum += w.sum.Load()
				extremes(w.extremes.reset())
			}
		}
	}
	return h
}
