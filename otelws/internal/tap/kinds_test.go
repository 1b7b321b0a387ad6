package tap

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/inspect"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

// declared declares the kinds a and b.
func declared(tb testing.TB, reader messagekind.Reader) *messagekind.Kinds {
	tb.Helper()
	k, err := messagekind.Declare(reader, "a", "b")
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// openKinds is open with kinds. Without extensions in the response, extensions is
// empty.
func openKinds(tb testing.TB, transport *scripted, accepted bool, k *messagekind.Kinds, extensions string) (*facts, interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
}) {
	tb.Helper()
	f, c := newFacts(), new(Conn)
	f.traffic = count.NewTraffic(accepted, 1)
	f.traffic.CountKinds(len(k.Names()), false, 1)
	f.kinds = inspect.NewKinds(k)
	app := c.Watch(transport, accepted, f, nil)
	header := switching.Clone()
	if extensions != "" {
		header.Set("Sec-WebSocket-Extensions", extensions)
	}
	c.Open(header)
	return f, app
}

// kindCounts formats the counts of one direction that are not 0.
func kindCounts(f *facts, k *messagekind.Kinds, d count.Direction) string {
	var b strings.Builder
	for i, n := range count.KindsOf([]*count.Traffic{f.traffic}, d, len(k.Names())) {
		if n != (count.KindTotals{}) {
			fmt.Fprintf(&b, "%s %d of %d bytes, ", k.Names()[i], n.Messages, n.Bytes)
		}
	}
	return b.String()
}

// wireStream makes frames of messages as a peer may send them: whole or in fragments,
// with control frames between them, masked or not. If the extensions allow it, one
// compressor compresses them.
type wireStream struct {
	random   *rand.Rand
	masked   bool
	deflate  bool // some messages are compressed
	takeover bool
	writer   *flate.Writer
	out      bytes.Buffer

	stream []byte
	sizes  []int // sizes of the messages on the wire
}

func (w *wireStream) message(b []byte, text bool) {
	opcode := byte(2)
	if text {
		opcode = 1
	}
	if w.deflate && w.random.IntN(4) > 0 {
		b, opcode = w.compress(b), opcode|0x40
	}
	w.sizes = append(w.sizes, len(b))
	for w.random.IntN(3) == 0 {
		n := w.random.IntN(len(b) + 1)
		w.frame(opcode, b[:n])
		opcode, b = 0, b[n:]
		if w.random.IntN(3) == 0 {
			w.frame(0x89, []byte("ping"))
		}
	}
	w.frame(opcode|0x80, b)
}

func (w *wireStream) compress(b []byte) []byte {
	if w.writer == nil || !w.takeover {
		w.writer, _ = flate.NewWriter(&w.out, []int{flate.HuffmanOnly, 0, 1, 6, 9}[w.random.IntN(5)])
	}
	w.out.Reset()
	n := w.random.IntN(len(b) + 1)
	for _, part := range [][]byte{b[:n], b[n:]} {
		_, _ = w.writer.Write(part)
		_ = w.writer.Flush()
	}
	return bytes.Clone(bytes.TrimSuffix(w.out.Bytes(), []byte{0, 0, 0xff, 0xff}))
}

func (w *wireStream) frame(first byte, payload []byte) {
	b := []byte{first, 0}
	switch n := len(payload); {
	case n <= 125:
		b[1] = byte(n)
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(n))
	}
	if !w.masked {
		w.stream = append(append(w.stream, b...), payload...)
		return
	}
	b[1] |= 0x80
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], w.random.Uint32())
	w.stream = append(append(w.stream, b...), key[:]...)
	for i, c := range payload {
		w.stream = append(w.stream, c^key[i&3])
	}
}

// pass reads or writes a stream in pieces of random sizes.
func pass(t testing.TB, random *rand.Rand, k *messagekind.Kinds, received bool, client bool, extensions string, stream []byte) *facts {
	t.Helper()
	transport := &scripted{read: stream}
	f, app := openKinds(t, transport, received == client, k, extensions)
	size := 1 << random.IntN(12)
	for at := 0; at < len(stream); {
		n := min(1+random.IntN(size), len(stream)-at)
		var err error
		if received {
			n, err = app.Read(make([]byte, n))
		} else {
			n, err = app.Write(stream[at : at+n])
		}
		if err != nil {
			t.Fatal(err)
		}
		at += n
	}
	if len(f.faults) > 0 || len(f.errors) > 0 {
		t.Fatalf("faults %v, errors %v", f.faults, f.errors)
	}
	return f
}

// testMessages returns messages of all kinds and sizes.
func testMessages(random *rand.Rand) (all [][]byte) {
	for range 1 + random.IntN(30) {
		kind := []string{"a", "b", "c", ""}[random.IntN(4)]
		padding := strings.Repeat("to be or not to be ", random.IntN(1<<random.IntN(12))/19+1)
		switch random.IntN(5) {
		case 0:
			all = append(all, fmt.Appendf(nil, `{"text":"%s","type":"%s"}`, padding, kind))
		case 1:
			all = append(all, []byte(padding))
		case 2:
			all = append(all, nil)
		default:
			all = append(all, fmt.Appendf(nil, `{"type":"%s","text":"%s"}`, kind, padding))
		}
	}
	return all
}

// checkKinds passes messages in a form that depends on seed, and compares the counts
// with the kinds of the messages.
func checkKinds(t testing.TB, seed uint64, k *messagekind.Kinds, messages [][]byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 9))
	received, client := random.IntN(2) == 0, random.IntN(2) == 0
	w := &wireStream{random: random, masked: client, deflate: random.IntN(3) > 0, takeover: random.IntN(2) == 0}
	extensions := ""
	if w.deflate {
		extensions = "permessage-deflate; client_max_window_bits=15"
		if !w.takeover {
			extensions += "; server_no_context_takeover; client_no_context_takeover"
		}
	}
	sums := make([]count.KindTotals, len(k.Names()))
	stream := k.Stream()
	for _, b := range messages {
		text := stream == nil && random.IntN(2) == 0
		w.message(b, text)
		var kind int
		if stream == nil {
			kind = k.Read(messagekind.Message{Prefix: b, Whole: true, Text: text, FromClient: client})
		} else {
			stream.Begin()
			stream.Write(b)
			kind = stream.End()
		}
		n := &sums[kind]
		n.Messages++
		n.Bytes += int64(w.sizes[len(w.sizes)-1])
	}
	f := pass(t, random, k, received, client, extensions, w.stream)
	d := count.Transmit
	if received {
		d = count.Receive
	}
	got := count.KindsOf([]*count.Traffic{f.traffic}, d, len(k.Names()))
	if fmt.Sprint(got) != fmt.Sprint(sums) {
		t.Fatalf("seed %d (received %v, from a client %v, extensions %q): counted %v, want %v", seed, received, client, extensions, got, sums)
	}
}

// Messages have the same kinds whether they are fragmented, compressed or masked, and
// in whatever pieces they are read and written.
func TestKinds(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 8))
		reader := messagekind.JSONMember("type")
		if seed%3 == 0 {
			reader = reader.Within(1 + random.IntN(2000))
		}
		checkKinds(t, seed, declared(t, reader), testMessages(random))
	}
}

// A message may be a piece of a stream of packets. Its kind is the type of the first
// packet that begins in it, in whatever pieces it is read and written.
func TestKindsOfStream(t *testing.T) {
	k, err := messagekind.Declare(messagekind.MQTT())
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 7))
		var stream []byte
		for range 20 {
			stream = append(stream, []string{"\xc0\x00", "\x30\xc8\x01" + strings.Repeat("x", 200), "\x32\x88\x27" + strings.Repeat("to be ", 834) + "more", "\x40\x02\x00\x01"}[random.IntN(4)]...)
		}
		if seed%10 == 0 {
			stream = append(stream, "\x00and now something else"...)
		}
		var messages [][]byte
		for len(stream) > 0 {
			n := min(1+random.IntN(1<<random.IntN(13)), len(stream))
			messages, stream = append(messages, stream[:n]), stream[n:]
		}
		checkKinds(t, seed, k, messages)
	}
}

// Once a piece of the stream is unreadable, all later messages are other.
func TestKindsOfStreamLost(t *testing.T) {
	k, err := messagekind.Declare(messagekind.MQTT())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		extensions string
		first      byte
		payload    string
	}{
		"text":                      {"", 0x81, "\xc0\x00"},
		"invalid, with takeover":    {"permessage-deflate", 0xc2, "\xff\xff\xff"},
		"invalid, without takeover": {"permessage-deflate; client_no_context_takeover", 0xc2, "\xff\xff\xff"},
		"another extension":         {"x-other", 0xc2, "\xc0\x00"},
	} {
		w := &wireStream{random: rand.New(rand.NewPCG(0, 0)), masked: true}
		for _, f := range []struct {
			first   byte
			payload string
		}{{0x82, "\xc0\x00"}, {tt.first, tt.payload}, {0x82, "\xc0\x00"}} {
			w.frame(f.first, []byte(f.payload))
		}
		f := pass(t, w.random, k, true, true, tt.extensions, w.stream)
		if got, want := kindCounts(f, k, count.Receive), fmt.Sprintf("PINGREQ 1 of 2 bytes, other 2 of %d bytes, ", len(tt.payload)+2); got != want {
			t.Errorf("%s: counted %s; want %s", name, got, want)
		}
	}
}

// FuzzKinds is TestKinds with two messages of any bytes, in turns.
func FuzzKinds(f *testing.F) {
	f.Add(uint64(1), []byte(`{"type":"a"}`), []byte(`{"x":[1,2,{"type":"b"}],"type":"b"}`), 512)
	f.Add(uint64(7), []byte(``), bytes.Repeat([]byte(`{"a":"\u0061\\",`), 100), 3)
	f.Fuzz(func(t *testing.T, seed uint64, a, b []byte, prefix int) {
		if len(a)+len(b) > 1<<14 {
			t.Skip()
		}
		k := declared(t, messagekind.JSONMember("type").Within(1+max(prefix, 0)%2000))
		checkKinds(t, seed, k, [][]byte{a, b, b, a, nil, b})
	})
}

// A message as long as the prefix is read to its end. A message that is one byte longer
// is not.
func TestKindsAtThePrefix(t *testing.T) {
	k, err := messagekind.Declare(messagekind.STOMP().Within(20))
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]string{20: "heart-beat", 21: "other"} {
		message := bytes.Repeat([]byte("\n"), size)
		for name, frames := range map[string]func(w *wireStream){
			"whole":        func(w *wireStream) { w.frame(0x81, message) },
			"in fragments": func(w *wireStream) { w.frame(0x01, message[:9]); w.frame(0x80, message[9:]) },
			"byte by byte": func(w *wireStream) {
				for i, c := range message {
					first := byte(max(1-i, 0))
					if i == len(message)-1 {
						first |= 0x80
					}
					w.frame(first, []byte{c})
				}
			},
			"compressed": func(w *wireStream) { w.frame(0xc1, w.compress(message)) },
		} {
			w := &wireStream{random: rand.New(rand.NewPCG(0, 0)), masked: true}
			frames(w)
			f := pass(t, w.random, k, true, true, "permessage-deflate", w.stream)
			if got := kindCounts(f, k, count.Receive); !strings.HasPrefix(got, want+" 1 ") {
				t.Errorf("%d bytes, %s: counted %s; want %s", size, name, got, want)
			}
		}
	}
}

// An unreadable compressed message is other. Later messages that may copy from it are
// other, too.
func TestKindsUnreadable(t *testing.T) {
	k := declared(t, messagekind.JSONMember("type"))
	w := func() *wireStream {
		return &wireStream{random: rand.New(rand.NewPCG(0, 0)), masked: true, takeover: true}
	}
	good := w().compress([]byte(`{"type":"a"}`))
	for _, tt := range []struct {
		name, extensions string
		frames           func(w *wireStream)
		want             string
	}{
		{"invalid, alone", "permessage-deflate; client_no_context_takeover", func(w *wireStream) {
			w.frame(0xc1, good)
			w.frame(0xc1, []byte("\xff\xff\xff"))
			w.frame(0xc1, good)
			w.frame(0x81, []byte(`{"type":"b"}`))
		}, fmt.Sprintf("a 2 of %d bytes, b 1 of 12 bytes, other 1 of 3 bytes, ", 2*len(good))},
		{"invalid, with takeover", "permessage-deflate", func(w *wireStream) {
			w.frame(0xc1, good)
			w.frame(0xc1, []byte("\xff\xff\xff"))
			w.frame(0xc1, good)
			w.frame(0x81, []byte(`{"type":"b"}`))
		}, fmt.Sprintf("a 1 of %d bytes, b 1 of 12 bytes, other 2 of %d bytes, ", len(good), len(good)+3)},
		{"a distance to before the first message", "permessage-deflate", func(w *wireStream) {
			w.frame(0xc1, []byte("\xf2\x00\x11\x00\x00"))
		}, "other 1 of 5 bytes, "},
		{"another extension", "x-other", func(w *wireStream) {
			w.frame(0xc1, good)
			w.frame(0x91, []byte(`{"type":"b"}`))
			w.frame(0x81, []byte(`{"type":"b"}`))
		}, fmt.Sprintf("b 1 of 12 bytes, other 2 of %d bytes, ", len(good)+12)},
		{"nothing, compressed", "permessage-deflate", func(w *wireStream) {
			w.frame(0xc1, nil)
			w.frame(0xc1, good)
		}, fmt.Sprintf("a 1 of %d bytes, none 1 of 0 bytes, ", len(good))},
	} {
		w := w()
		tt.frames(w)
		f := pass(t, w.random, k, true, true, tt.extensions, w.stream)
		if got := kindCounts(f, k, count.Receive); got != tt.want {
			t.Errorf("%s: counted %s; want %s", tt.name, got, tt.want)
		}
	}
}

// The kind of a message may depend on whether it is text or binary, whether it arrives
// in one Read or in fragments.
func TestKindsOfTextAndBinary(t *testing.T) {
	k := declared(t, messagekind.Phoenix())
	message := []byte(`["1","1","room","a",{}]`)
	for opcode, want := range map[byte]string{0x01: "a 2 of 46 bytes, ", 0x02: "other 2 of 46 bytes, "} {
		whole, rest := new(wireStream), new(wireStream)
		whole.frame(0x80|opcode, message)
		rest.frame(opcode, message[:9])
		rest.frame(0x80, message[9:])
		f, app := openKinds(t, &scripted{}, true, k, "")
		for _, b := range [][]byte{whole.stream, rest.stream} {
			if _, err := app.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if got := kindCounts(f, k, count.Transmit); got != want {
			t.Errorf("opcode %d: counted %s; want %s", opcode, got, want)
		}
	}
}

// BenchmarkKinds measures the cost of the tap for a JSON message of 200 bytes, in a
// loop, without kinds and with ten kinds.
func BenchmarkKinds(b *testing.B) {
	k, err := messagekind.Declare(messagekind.JSONMember("type"), strings.Fields("join leave chat typing position score ready start pause stop")...)
	if err != nil {
		b.Fatal(err)
	}
	message := `{"id":12345,"type":"position","lat":52.51627,"lon":13.37770,"text":"`
	message += strings.Repeat("x", 198-len(message)) + `"}`
	in, out := &wireStream{random: rand.New(rand.NewPCG(1, 1)), masked: true}, new(wireStream)
	for _, w := range []*wireStream{in, out} {
		w.frame(0x81, []byte(message))
	}
	buffer := make([]byte, 1024)
	for _, of := range []struct {
		name  string
		kinds *inspect.Kinds
	}{{"Off", nil}, {"On", inspect.NewKinds(k)}} {
		f, c := newFacts(), new(Conn)
		f.traffic.CountKinds(len(k.Names()), false, 1)
		f.kinds = of.kinds
		app := c.Watch(&repeating{pieces: [][]byte{in.stream}}, true, f, nil)
		c.Open(switching)
		b.Run("Read/"+of.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = app.Read(buffer)
			}
		})
		b.Run("Write/"+of.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = app.Write(out.stream)
			}
		})
	}
}
