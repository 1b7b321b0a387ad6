package frame_test

import (
	"math"
	"slices"
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

// A length that a frame only claims must not be counted: the message does not
// end. Lengths that add up past int64 must not overflow.
func TestClaimedLength(t *testing.T) {
	p := frame.New(true, 0)
	b := stream{{first: fin | binaryFrame, payload: "some", claim: math.MaxInt64}}.masked()
	if _, n, ok, err := p.Next(b); n != len(b) || ok || err != frame.None {
		t.Errorf("read %d of %d bytes, frame %v, error %v", n, len(b), ok, err)
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

func TestErrorStrings(t *testing.T) {
	seen := map[string]bool{frame.None.String(): true}
	for _, e := range frame.Errors {
		if seen[e.String()] {
			t.Errorf("error %d has the string %s of another", e, e)
		}
		seen[e.String()] = true
	}
}
