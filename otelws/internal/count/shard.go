package count

import (
	"math"
	"sync/atomic"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// SizeBounds are the bounds of the buckets of message sizes, in bytes.
var SizeBounds = [...]float64{64, 256, 1024, 4096, 16384, 65536, 262144}

// Shard holds the counts of some connections. Each direction has its own cache lines.
type Shard struct {
	single [Directions][len(singleOpcodes)]Singles
	other  [Directions]others
}

// singleOpcodes are the opcodes of Singles, by index.
var singleOpcodes = [...]frame.Opcode{frame.Text, frame.Binary}

// MaxSingle is the maximum payload of a message that Singles counts.
const MaxSingle = 4096

// Singles counts messages of up to MaxSingle bytes that are one frame with the shortest header, and
// pass in one Read or Write. Most messages are like this. The number of messages in each class, and
// the sum of their sizes, determine the number of frames, the bytes on the wire and the histogram.
// A Singles fills one cache line.
type Singles struct {
	count    [len(singleClasses)]atomic.Int64
	sum      atomic.Int64
	extremes extremes
	writing  Writing // the writes in progress, if the direction is Transmit
}

// singleClasses are the classes of messages. most is the maximum size in a class. All messages of a
// class are in one bucket of SizeBounds, and have one size of header.
var singleClasses = [...]struct{ most, bucket, header int }{
	{64, 0, 2}, {125, 1, 2}, {256, 1, 4}, {1024, 2, 4}, {4096, 3, 4},
}

// Singles returns the Singles of opcode o, which is [frame.Text] or [frame.Binary].
func (s *Shard) Singles(d Direction, o frame.Opcode) *Singles {
	return &s.single[d][(o-singleOpcodes[0])&1]
}

// Add counts a message of size bytes, from 0 to MaxSingle.
func (w *Singles) Add(size int) {
	class := 0
	for size > singleClasses[class].most {
		class++
	}
	w.count[class].Add(1)
	w.sum.Add(int64(size))
	w.extremes.add(uint32(size))
}

// AddBytes counts n bytes on the wire that do not belong to a message in Singles.
func (s *Shard) AddBytes(d Direction, n int) { s.other[d].bytes.Add(int64(n)) }

// AddFrame counts a frame that is not a message in Singles.
func (s *Shard) AddFrame(d Direction, o frame.Opcode) {
	s.other[d].frames[opcodeIndex[o&0xf]].Add(1)
}

// AddMessage counts a message of size bytes. AddFrame counts its frames.
func (s *Shard) AddMessage(d Direction, size int64) { s.other[d].addMessage(size) }

// AddCompressed counts the payload of a compressed message, before and after decompression.
func (s *Shard) AddCompressed(d Direction, wire, decoded int64) {
	s.other[d].wire.Add(wire)
	s.other[d].decoded.Add(decoded)
}

// BeginWrite counts the start of a write in w.
func (s *Shard) BeginWrite(w *Singles, begun clock.Instant) { w.writing.Begin(begun) }

// EndWrite counts the end of a write that BeginWrite counted.
func (s *Shard) EndWrite(w *Singles, begun, at clock.Instant) {
	// In this order, because a collection between the two must not count the write twice.
	w.writing.End(begun)
	if at > begun {
		s.other[Transmit].written.Add(int64(at - begun))
	}
}

// others holds all counts of one direction that are not in Singles. It fills three cache lines.
type others struct {
	bytes  atomic.Int64
	frames [len(Opcodes)]atomic.Int64

	// The messages that end with one of these frames.
	sum atomic.Int64
	sizes

	wire, decoded atomic.Int64 // of compressed messages
	written       atomic.Int64 // the time of all writes that have ended, in ns
	_             [24]byte
}

func (o *others) addMessage(size int64) {
	o.sizes.add(size)
	o.sum.Add(size)
}

// sizes is a histogram of message sizes, without their sum.
type sizes struct {
	buckets         [len(SizeBounds) + 1]atomic.Int64
	least, greatest atomic.Int64 // since the last observation
}

func (s *sizes) add(size int64) {
	i := 0
	for i < len(SizeBounds) && float64(size) > SizeBounds[i] {
		i++
	}
	s.buckets[i].Add(1)
	for least := s.least.Load(); size < least && !s.least.CompareAndSwap(least, size); {
		least = s.least.Load()
	}
	for greatest := s.greatest.Load(); size > greatest && !s.greatest.CompareAndSwap(greatest, size); {
		greatest = s.greatest.Load()
	}
}

// resetExtremes returns the extremes, and resets them.
func (s *sizes) resetExtremes() (least, greatest int64) {
	return s.least.Swap(math.MaxInt64), s.greatest.Swap(math.MinInt64)
}

// extremes are the least and the greatest size since the last observation. Both are stored so that
// they begin at 0 and only grow.
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

// reset returns the extremes, and resets them. If there was no size, least is greater than
// greatest.
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
