package deflate_test

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
)

const prefixSize = 512

// conversation compresses messages with one writer, which keeps its window between
// messages.
func conversation(tb testing.TB, level int, messages [][]byte) (payloads [][]byte) {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	for _, m := range messages {
		b.Reset()
		_, _ = w.Write(m)
		_ = w.Flush()
		payloads = append(payloads, bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})))
	}
	return payloads
}

// inflated feeds a masked payload in pieces of at most step bytes.
func inflated(f *deflate.Inflater, w *deflate.Window, payload []byte, size, step int, rest bool) (prefix []byte, n uint64, ok bool) {
	key := [4]byte{0x12, 0x9a, 0x5f, 0xe1}
	masked := bytes.Clone(payload)
	for i := range masked {
		masked[i] ^= key[i&3]
	}
	f.Reset(w, make([]byte, 0, size), rest)
	for at := 0; at < len(masked); at += step {
		f.FeedMasked(masked[at:min(at+step, len(masked))], key, int64(at))
	}
	ok = f.Finish()
	prefix, _ = f.Prefix()
	return prefix, f.Size(), ok
}

// Messages that copy from earlier messages are decompressed correctly, for all sizes
// of pieces and of windows.
func TestInflateTakeover(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for name, data := range corpus() {
		var messages [][]byte
		for i := range 25 {
			from := random.IntN(len(data))
			m := bytes.Clone(data[from:min(len(data), from+random.IntN(1<<(i%14+1)))])
			if i%7 == 0 {
				m = bytes.Repeat(m, 20)
			}
			messages = append(messages, m)
		}
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			payloads := conversation(t, level, messages)
			for _, size := range []int{1, prefixSize, 40_000} {
				f, w := new(deflate.Inflater), deflate.NewWindow(15, size)
				for i, p := range payloads {
					prefix, n, ok := inflated(f, w, p, size, 1+random.IntN(len(p)+3), true)
					want := messages[i]
					if !ok || n != uint64(len(want)) || !bytes.Equal(prefix, want[:min(size, len(want))]) {
						t.Fatalf("%s at level %d: message %d has %d bytes %v, %.40q; want %d, %.40q",
							name, level, i, n, ok, prefix, len(want), want)
					}
				}
			}
		}
	}
}

// Without context takeover, the Inflater decompresses no more than the prefix needs.
func TestInflatePrefixAlone(t *testing.T) {
	f, w := new(deflate.Inflater), deflate.NewWindow(8, prefixSize)
	for name, data := range corpus() {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			payload := compress(t, level, data)
			for _, step := range []int{1, 7, len(payload)} {
				w.Reset()
				prefix, n, ok := inflated(f, w, payload, prefixSize, step, false)
				if !ok || !bytes.Equal(prefix, data[:prefixSize]) || n > prefixSize+258 {
					t.Fatalf("%s at level %d by %d bytes: %.40q, %d inflated, %v", name, level, step, prefix, n, ok)
				}
			}
		}
	}
}

func TestInflateMessages(t *testing.T) {
	f := new(deflate.Inflater)
	for _, m := range messages {
		w := deflate.NewWindow(15, prefixSize)
		n := m.n
		if m.name == "window of the message before" {
			if _, _, ok := inflated(f, w, []byte(m.payload), prefixSize, 1, true); ok {
				t.Errorf("%s: valid without that window", m.name)
			}
			w.Reset()
			inflated(f, w, []byte(messages[0].payload), prefixSize, 1, true)
		}
		prefix, size, ok := inflated(f, w, []byte(m.payload), prefixSize, 1, true)
		if size != uint64(n) || ok != m.ok || ok && n == 5 && string(prefix) != "Hello" {
			t.Errorf("%s: %q, %d %v, want %d %v", m.name, prefix, size, ok, n, m.ok)
		}
	}
}

func TestInflateAllocations(t *testing.T) {
	f, w := new(deflate.Inflater), deflate.NewWindow(15, prefixSize)
	payload, prefix := compress(t, 6, corpus()["json"]), make([]byte, 0, prefixSize)
	if n := testing.AllocsPerRun(10, func() {
		f.Reset(w, prefix, true)
		f.FeedMasked(payload, [4]byte{}, 0)
		f.Finish()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzInflater compares the Inflater with compress/flate, on any bytes after any
// earlier message.
func FuzzInflater(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte("Hello"), []byte(m.payload), 3, 100)
	}
	f.Add(bytes.Repeat([]byte("ab"), 3000), []byte("\x62\x00\x00\x00\xff\xff\x4a\x04\x12"), 1, 4)
	i := new(deflate.Inflater)
	f.Fuzz(func(t *testing.T, before, payload []byte, step, size int) {
		step, size = max(step, 1), 1+max(size, 0)%(2*prefixSize)
		w := deflate.NewWindow(15, size)
		if _, n, ok := inflated(i, w, compress(t, 6, before), size, step, true); !ok || n != uint64(len(before)) {
			t.Fatalf("inflated %d %v, want %d", n, ok, len(before))
		}
		prefix, n, ok := inflated(i, w, payload, size, step, true)
		want, wantOK := inflateBehind(before, payload)
		if len(before)+len(want) == maxOutput {
			return
		}
		if ok != wantOK || ok && n != uint64(len(want)) || ok && !bytes.Equal(prefix, want[:min(size, len(want))]) {
			t.Fatalf("inflated %d %v, %q; want %d %v, %q", n, ok, prefix, len(want), wantOK, want[:min(size, len(want))])
		}
	})
}

// inflateBehind returns the output of a payload that follows earlier payloads.
func inflateBehind(before, payload []byte) (out []byte, ok bool) {
	const tail = "\x00\x00\xff\xff"
	if out, ok := readBehind(before, payload); ok {
		return out, true
	}
	out, ok = readBehind(before, append(bytes.Clone(payload), tail+"\x03\x00"...))
	other, ok2 := readBehind(before, append(bytes.Clone(payload), tail+"\x01\x00\x00\xff\xff"...))
	return out, ok && ok2 && bytes.Equal(out, other)
}

func readBehind(before, p []byte) (out []byte, ok bool) {
	if len(p) == 0 {
		return nil, false
	}
	b, all := bytes.NewReader(p), bytes.Clone(before)
	for {
		more, err := io.ReadAll(io.LimitReader(flate.NewReaderDict(b, all), maxOutput-int64(len(all))))
		all = append(all, more...)
		if err != nil || len(all) == maxOutput {
			return all[len(before):], false
		}
		if b.Len() == 0 {
			return all[len(before):], true
		}
	}
}

// The Inflater passes on the whole output in order, for all windows, parts and match
// distances.
func TestInflatePassTo(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for name, data := range corpus() {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
			messages := [][]byte{data, data[:300], nil, bytes.Repeat(data[:100], 3000), make([]byte, 1<<20), data}
			f, w := new(deflate.Inflater), deflate.NewWindow(15, 1)
			for i, p := range conversation(t, level, messages) {
				var out []byte
				f.Reset(w, make([]byte, 0, 1), true)
				f.PassTo(func(b []byte) { out = append(out, b...) })
				for len(p) > 0 {
					n := 1 + random.IntN(len(p))
					f.FeedMasked(p[:n], [4]byte{}, 0)
					p = p[n:]
				}
				if !f.Finish() || !bytes.Equal(out, messages[i]) {
					t.Fatalf("%s at level %d: message %d of %d bytes became %d, %.40q", name, level, i, len(messages[i]), len(out), out)
				}
			}
		}
	}
}
