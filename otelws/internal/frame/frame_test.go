package frame_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

func TestErrors(t *testing.T) {
	tests := []struct {
		name   string
		client bool
		rsv    byte
		stream stream
		err    frame.Error
		events []string
	}{
		{"rsv1", true, 0, stream{{first: fin | 0x40 | text}}, frame.ReservedBits, nil},
		{"rsv1 negotiated", true, frame.RSV1, stream{{first: fin | 0x40 | text, payload: "zz"}}, frame.None, []string{"message of 2"}},
		{"rsv1 on a control frame", true, frame.RSV1, stream{{first: fin | 0x40 | ping}}, frame.ReservedBits, nil},
		{"rsv1 on a continuation", true, frame.RSV1, stream{{first: text}, {first: fin | 0x40 | continuation}}, frame.ReservedBits, []string{fragment}},
		{"rsv2 negotiated with something else", true, frame.RSV1 | frame.RSV2 | frame.RSV3, stream{{first: fin | 0x20 | text}}, frame.None, []string{"message of 0"}},
		{"reserved opcode", true, 0, stream{{first: fin | 0x3}}, frame.ReservedOpcode, nil},
		{"reserved control opcode", true, 0, stream{{first: fin | 0xF}}, frame.ReservedOpcode, nil},
		{"masked by a server", false, 0, stream{{first: fin | text}}, frame.Masking, nil},
		{"continuation of nothing", true, 0, stream{{first: fin | continuation}}, frame.Fragmentation, nil},
		{"message in a message", true, 0, stream{{first: text}, {first: fin | text}}, frame.Fragmentation, []string{fragment}},
		{"long control frame", true, 0, stream{{first: fin | ping, claim: 126}}, frame.ControlFrame, nil},
		{"control frame in fragments", true, 0, stream{{first: ping}}, frame.ControlFrame, nil},
		{"impossible length", true, 0, stream{{first: fin | text, claim: 1 << 63}}, frame.PayloadTooLong, nil},
		{"nothing after an error", true, 0, stream{{first: fin | 0x3}, {first: fin | text}}, frame.ReservedOpcode, nil},
		{"nothing after a close frame", true, 0, stream{{first: fin | closeFrame}, {first: fin | 0x3}, {first: fin | text}}, frame.None, []string{`8 ""`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(tt.client, tt.rsv, tt.stream.masked())
			if err != tt.err {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if !slices.Equal(got.events, tt.events) {
				t.Errorf("events %q, want %q", got.events, tt.events)
			}
		})
	}
}

// A claimed length is not counted until the message ends. Lengths whose sum exceeds
// int64 must not overflow.
func TestClaimedLength(t *testing.T) {
	p := frame.New(true, 0)
	b := stream{{first: fin | binaryFrame, payload: "some", claim: math.MaxInt64}}.masked()
	if _, n, ok, err := p.Next(b); n != len(b) || ok || err != frame.None {
		t.Errorf("read %d of %d bytes, frame %v, error %v", n, len(b), ok, err)
	}
}

// Whole accepts exactly the messages of one frame with the shortest header.
func TestWhole(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 125, 126, 127, 255, 256, 4096, 65535, 65536} {
		for _, opcode := range []byte{text, binaryFrame} {
			f := part{first: fin | opcode, payload: strings.Repeat("x", n)}
			for client, b := range map[bool][]byte{true: stream{f}.masked(), false: stream{f}.plain()} {
				p := frame.New(client, 0)
				want := n
				if n > 65535 {
					want = -1
				}
				if got := p.Whole(b); got != want {
					t.Errorf("%d bytes, client %v: %d", n, client, got)
				}
				other := frame.New(!client, 0)
				for what, got := range map[string]int{
					"without its end": p.Whole(b[:len(b)-1]),
					"and a byte":      p.Whole(append(slices.Clip(b), 0)),
					"of the other":    other.Whole(b),
				} {
					if got >= 0 {
						t.Errorf("%d bytes, client %v, %s: %d", n, client, what, got)
					}
				}
			}
		}
	}
	for name, f := range map[string]part{
		"no fin":            {first: text, payload: "hello"},
		"continuation":      {first: fin | continuation, payload: "hello"},
		"ping":              {first: fin | ping, payload: "hello"},
		"reserved opcode":   {first: fin | 0x3, payload: "hello"},
		"rsv1":              {first: fin | 0x40 | text, payload: "hello"},
		"length in 2 bytes": {first: fin | text, payload: "hello", wide: 2},
		"length in 8 bytes": {first: fin | text, payload: "hello", wide: 8},
	} {
		p := frame.New(false, 0)
		if got := p.Whole(stream{f}.plain()); got >= 0 {
			t.Errorf("%s: %d", name, got)
		}
	}
	compressed := stream{{first: fin | 0x40 | text, payload: "zz"}}.masked()
	p := frame.New(true, frame.RSV1)
	if got := p.Whole(compressed); got != 2 {
		t.Errorf("compressed: %d", got)
	}
	p.Inspect(new(unmasker), false)
	if got := p.Whole(compressed); got >= 0 {
		t.Errorf("compressed, for an Inspector: %d", got)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	b := stream{
		{first: fin | text, payload: "hello"}, {first: fin | ping, payload: "p"},
		{first: binaryFrame, payload: "a"}, {first: fin | continuation, payload: "b"},
	}.masked()
	p := frame.New(true, 0)
	allocs := testing.AllocsPerRun(100, func() {
		for rest := b; len(rest) > 0; {
			_, n, _, _ := p.Next(rest)
			rest = rest[n:]
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for four frames", allocs)
	}
}

// unmasker is an Inspector that records the payloads of messages.
type unmasker struct {
	open []byte
	all  []string
}

func (u *unmasker) Whole(f []byte, size int) int32 {
	u.Begin(f[0])
	payload := f[len(f)-size:]
	var key [4]byte
	if f[1]&0x80 != 0 {
		key = [4]byte(f[len(f)-size-4:])
	}
	u.Payload(payload, key, 0)
	_, kind := u.End()
	return kind
}

func (u *unmasker) Begin(first byte) { u.open = fmt.Appendf(nil, "%x:", first) }

func (u *unmasker) Payload(b []byte, key [4]byte, offset int64) {
	for i, c := range b {
		u.open = append(u.open, c^key[(int(offset)+i)&3])
	}
}

func (u *unmasker) End() (decoded int64, kind int32) {
	u.all = append(u.all, string(u.open))
	return int64(100 + len(u.all)), int32(len(u.all))
}

// An Inspector gets the payloads of compressed messages only, or of all messages, for
// each split of the bytes.
func TestInspector(t *testing.T) {
	const rsv1 = frame.RSV1
	s := stream{
		{first: fin | rsv1 | text, payload: "one"}, {first: fin | text, payload: "plain"},
		{first: rsv1 | binaryFrame, payload: "tw"}, {first: fin | ping, payload: "p"}, {first: continuation},
		{first: fin | continuation, payload: "o, in three"},
		{first: text, payload: "nei"}, {first: fin | continuation, payload: "ther"}, {first: fin | rsv1 | text},
		{first: fin | rsv1 | text, payload: "four"}, {first: fin | binaryFrame},
	}
	sizes := []int64{3, 5, 13, 7, 0, 4, 0}
	for _, side := range []struct {
		client bool
		stream []byte
	}{{true, s.masked()}, {false, s.plain()}} {
		for i := range side.stream {
			for _, all := range []bool{false, true} {
				p := frame.New(side.client, rsv1)
				u := new(unmasker)
				p.Inspect(u, all)
				var decoded, messages []int64
				var kinds []int32
				for _, b := range [][]byte{side.stream[:i], side.stream[i:]} {
					for len(b) > 0 {
						f, n, ok, err := p.Next(b)
						if err != frame.None {
							t.Fatal(err)
						}
						b = b[n:]
						if ok && f.Message >= 0 {
							messages = append(messages, f.Message)
							kinds = append(kinds, f.Kind)
							if f.Decoded >= 0 {
								decoded = append(decoded, f.Decoded)
							}
						}
					}
				}
				want, wantKinds := []string{"c1:one", "42:two, in three", "c1:", "c1:four"}, []int32{1, 0, 2, 0, 3, 4, 0}
				if all {
					want = []string{"c1:one", "81:plain", "42:two, in three", "1:neither", "c1:", "c1:four", "82:"}
					wantKinds = []int32{1, 2, 3, 4, 5, 6, 7}
				}
				if !slices.Equal(u.all, want) || !slices.Equal(kinds, wantKinds) || !slices.Equal(messages, sizes) {
					t.Fatalf("split at %d: payloads %q, kinds %v, messages of %v; want %q, %v, %v",
						i, u.all, kinds, messages, want, wantKinds, sizes)
				}
				if len(decoded) < 4 || decoded[0] != 101 {
					t.Fatalf("split at %d: decoded sizes %v", i, decoded)
				}
			}
		}
	}
}

func TestErrorStrings(t *testing.T) {
	seen := map[string]bool{frame.None.String(): true}
	for _, e := range frame.Errors {
		if seen[e.String()] {
			t.Errorf("error %d has the string %s of another", e, e)
		}
		seen[e.String()] = true
	}
}
