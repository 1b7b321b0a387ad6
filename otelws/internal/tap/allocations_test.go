//go:build !race

// Under the race detector, a sync.Pool drops some of its elements at random.

package tap

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/inspect"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// Neither a whole message nor a fragmented one causes an allocation. A claimed length
// of 2^63-1 takes no memory.
func TestKindsAllocate(t *testing.T) {
	k := declared(t, messagekind.JSONMember("type"))
	random := rand.New(rand.NewPCG(1, 1))
	in, out := &wireStream{random: random, masked: true}, &wireStream{random: random}
	message := []byte(`{"id":1,"type":"a","text":"` + strings.Repeat("x", 170) + `"}`)
	for _, w := range []*wireStream{in, out} {
		w.frame(0x81, message)
	}
	transport := &repeating{pieces: [][]byte{in.stream}}
	f, c := newFacts(), new(Conn)
	f.traffic.CountKinds(len(k.Names()), false, 1)
	f.kinds = inspect.NewKinds(k)
	app := c.Watch(transport, true, f, nil)
	c.Open(http.Header{"Sec-Websocket-Extensions": {"permessage-deflate"}})
	buffer := make([]byte, 1024)
	run := func() {
		_, _ = app.Read(buffer)
		_, _ = app.Write(out.stream)
	}
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("whole messages: %v allocations", n)
	}
	fragments, deflated := &wireStream{random: random, masked: true}, &wireStream{random: random, masked: true, takeover: true}
	fragments.frame(0x01, message[:20])
	fragments.frame(0x80, message[20:])
	deflated.frame(0xc1, deflated.compress(message))
	transport.pieces, transport.next = [][]byte{fragments.stream, deflated.stream}, 0
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("fragmented and compressed messages: %v allocations", n)
	}
	transport.pieces, transport.next = [][]byte{[]byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), make([]byte, 1024)}, 0
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("a message that never ends: %v allocations", n)
	}
	if got := kindCounts(f, k, count.Transmit); !strings.HasPrefix(got, "a ") || strings.Contains(got, "other") {
		t.Errorf("the sent messages were counted as %s", got)
	}
}
