package count

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

// All messages of a class are in one bucket of the histogram and have one size of
// header. So the count of a class determines both.
func TestSingleClasses(t *testing.T) {
	for size := range MaxSingle + 1 {
		class := slices.IndexFunc(singleClasses[:], func(c struct{ most, bucket, header int }) bool { return size <= c.most })
		if class < 0 {
			t.Fatalf("%d bytes are in no class", size)
		}
		bucket := slices.IndexFunc(SizeBounds[:], func(bound float64) bool { return float64(size) <= bound })
		header := 2
		if size > 125 {
			header = 4
		}
		if c := singleClasses[class]; c.bucket != bucket || c.header != header {
			t.Fatalf("%d bytes are in bucket %d with a header of %d, want %d and %d", size, c.bucket, c.header, bucket, header)
		}
	}
}

// The counter of single messages fills one cache line, which it does not share.
func TestShardSize(t *testing.T) {
	const line = 64
	if n := unsafe.Sizeof(Singles{}); n != line {
		t.Errorf("Singles has %d bytes", n)
	}
	if n := unsafe.Sizeof(others{}); n%line != 0 {
		t.Errorf("others has %d bytes", n)
	}
	shards := make([]Shard, ShardsFor(1))
	if at := uintptr(unsafe.Pointer(&shards[0])); at%line != 0 {
		t.Errorf("shards begin at %x", at)
	}
}

// The total number of shards of all Traffics is bounded.
func TestShardsFor(t *testing.T) {
	for traffics := 1; traffics <= 2000; traffics++ {
		n := ShardsFor(traffics)
		if n < 1 || n&(n-1) != 0 || n > 1 && n*traffics > maxShards {
			t.Fatalf("%d traffics have %d shards each", traffics, n)
		}
		if traffics == 1 && n < runtime.GOMAXPROCS(0) {
			t.Errorf("one traffic has %d shards for %d cores", n, runtime.GOMAXPROCS(0))
		}
	}
}

// The memory for kinds is bounded, and each connection has a place for them.
func TestKindShards(t *testing.T) {
	for _, traffics := range []int{1, 50, 2000} {
		for _, kinds := range []int{1, 9, 100} {
			all := NewTraffic(true, ShardsFor(traffics))
			all.CountKinds(kinds, false, traffics)
			n := len(all.kinds)
			if n < 1 || n > 1 && n*traffics*Directions*kinds > maxKindCounts {
				t.Errorf("%d traffics have %d shards each for %d kinds", traffics, n, kinds)
			}
			all.KindShard().Add(Transmit, kinds-1, 1)
		}
	}
}

// The histogram of one kind has the sum and the extremes of its messages, in any order.
// The extremes are those since the last call.
func TestMessagesOfKind(t *testing.T) {
	all := []*Traffic{NewTraffic(true, 1), NewTraffic(true, 1)}
	for i, sizes := range [][]int64{{300, 90_000, 5000}, {7, 1 << 40, 12}} {
		all[i].CountKinds(2, true, len(all))
		for _, size := range sizes {
			all[i].KindShard().Add(Receive, 1, size)
		}
	}
	all[0].KindShard().Add(Receive, 0, 1)
	all[0].KindShard().Add(Transmit, 1, 2)
	want := Histogram{Counts: [8]uint64{2, 0, 1, 0, 1, 0, 1, 1}, Sum: 300 + 90_000 + 5000 + 7 + 1<<40 + 12, Least: 7, Greatest: 1 << 40}
	if got := *MessagesOfKind(all, Receive, 1); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want.Least, want.Greatest = math.MaxInt64, math.MinInt64
	if got := *MessagesOfKind(all, Receive, 1); got != want {
		t.Errorf("without a new message: got %+v, want %+v", got, want)
	}
}

func TestExtremes(t *testing.T) {
	var e extremes
	check := func(least, greatest int64) {
		t.Helper()
		if a, b := e.reset(); a != least || b != greatest {
			t.Errorf("extremes %d and %d, want %d and %d", a, b, least, greatest)
		}
	}
	check(math.MaxInt64, math.MinInt64)
	e.add(0)
	check(0, 0)
	check(math.MaxInt64, math.MinInt64)
	for _, size := range []uint32{7, MaxSingle, 5, 6} {
		e.add(size)
	}
	check(5, MaxSingle)
}
