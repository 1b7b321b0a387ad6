package deflate_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
)

// messages returns payloads. The first ones are the examples of RFC 7692 section
// 7.2.3.
var messages = []struct {
	name, payload string
	n             int64
	ok            bool
}{
	{"fixed", "\xf2\x48\xcd\xc9\xc9\x07\x00", 5, true},
	{"window of the message before", "\xf2\x00\x11\x00\x00", 5, true},
	{"stored", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 5, true},
	{"final block and padding", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 5, true},
	{"final block alone", "\xf3\x48\xcd\xc9\xc9\x07\x00", 5, true},
	{"two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 5, true},
	{"empty", "\x00", 0, true},
	{"nothing", "", 0, false},
	{"cut off", "\xf2\x48\xcd", 3, false},
	{"reserved block type", "\x07", 0, false},
	{"stored size", "\x00\x05\x00\xfa\xfe", 0, false},
	{"too many lengths", "\xf4\xff\xff", 0, false},
}

func TestMessages(t *testing.T) {
	c := new(deflate.Counter)
	for _, m := range messages {
		if n, ok := count(c, []byte(m.payload)); n != m.n || ok != m.ok {
			t.Errorf("%s: counted %d %v, want %d %v", m.name, n, ok, m.n, m.ok)
		}
	}
}

// Each kind of data, compressed at each level, masked, and split in two at each byte.
func TestLevels(t *testing.T) {
	c := new(deflate.Counter)
	for name, data := range corpus() {
		data = data[:1<<10]
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			payload := compress(t, level, data)
			for i := range len(payload) + 1 {
				if n, ok := countMasked(c, payload, i, int64(i%5)); n != int64(len(data)) || !ok {
					t.Fatalf("%s at level %d, split at %d: counted %d %v", name, level, i, n, ok)
				}
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	c := new(deflate.Counter)
	payload := compress(t, 6, corpus()["json"])
	if n := testing.AllocsPerRun(10, func() { count(c, payload) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func count(c *deflate.Counter, payload []byte) (int64, bool) {
	c.Reset()
	c.Feed(payload)
	return c.Finish()
}

// countMasked feeds a payload in two pieces. The payload begins offset bytes after
// the start of the frame's payload.
func countMasked(c *deflate.Counter, payload []byte, split int, offset int64) (int64, bool) {
	key := [4]byte{0x12, 0x9a, 0x5f, 0xe1}
	masked := bytes.Clone(payload)
	for i := range masked {
		masked[i] ^= key[(int64(i)+offset)&3]
	}
	c.Reset()
	c.FeedMasked(masked[:split], key, offset)
	c.FeedMasked(masked[split:], key, offset+int64(split))
	return c.Finish()
}

// compress returns a message as in RFC 7692 section 7.2.1, flushed after each part.
func compress(tb testing.TB, level int, parts ...[]byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			tb.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// corpus returns 16 KiB of each kind of data.
func corpus() map[string][]byte {
	const size = 16 << 10
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the of a to be or not in that is question whether nobler mind suffer slings and arrows")
	var text, json, random []byte
	for len(text) < size {
		text = append(append(text, words[r.IntN(len(words))]...), ' ')
	}
	for len(json) < size {
		json = fmt.Appendf(json, `{"id":%d,"user":"user-%d","price":%g}`+"\n", r.IntN(1e6), r.IntN(1000), r.Float64())
	}
	for len(random) < size {
		random = append(random, byte(r.Uint32()))
	}
	return map[string][]byte{"text": text[:size], "json": json[:size], "random": random}
}
