package otelws

import (
	"context"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/otelws/otelws-go/exporter"
)

// A class of whole messages is in one bucket of the histogram, and has one size
// of header, so that its count tells both.
func TestWholeClasses(t *testing.T) {
	for size := range maxWhole + 1 {
		class := slices.IndexFunc(wholeClasses[:], func(c struct{ most, bucket, header int }) bool { return size <= c.most })
		if class < 0 {
			t.Fatalf("%d bytes are in no class", size)
		}
		bucket := slices.IndexFunc(sizeBounds[:], func(bound float64) bool { return float64(size) <= bound })
		header := 2
		if size > 125 {
			header = 4
		}
		if c := wholeClasses[class]; c.bucket != bucket || c.header != header {
			t.Fatalf("%d bytes are in bucket %d with a header of %d, want %d and %d", size, c.bucket, c.header, bucket, header)
		}
	}
}

// The exporter's meter reads the histograms of messages from the tallies: its
// method is known by its signature alone, and without it an instrument records.
func TestExporterObserves(t *testing.T) {
	exp, err := exporter.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exp.Shutdown(context.Background()) })
	ws, err := New(WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*side{ws.server, ws.client} {
		if s.recordsMessages {
			t.Error("messages are recorded by an instrument")
		}
	}
}

// What counts a message lies in one cache line, and that in no other's.
func TestShardSize(t *testing.T) {
	const line = 64
	if n := unsafe.Sizeof(wholeMessages{}); n != line {
		t.Errorf("wholeMessages has %d bytes", n)
	}
	if n := unsafe.Sizeof(otherFrames{}); n%line != 0 {
		t.Errorf("otherFrames has %d bytes", n)
	}
	shards := make([]shard, shardsFor(1))
	if at := uintptr(unsafe.Pointer(&shards[0])); at%line != 0 {
		t.Errorf("shards begin at %x", at)
	}
}

// All tallies together have a bounded number of shards.
func TestShardsFor(t *testing.T) {
	for tallies := 1; tallies <= maxSets; tallies++ {
		n := shardsFor(tallies)
		if n < 1 || n&(n-1) != 0 || n > 1 && n*tallies > maxShards {
			t.Fatalf("%d tallies have %d shards each", tallies, n)
		}
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
	for _, size := range []uint32{7, maxWhole, 5, 6} {
		e.add(size)
	}
	check(5, maxWhole)
}
