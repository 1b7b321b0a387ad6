package messagekind_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// packets are MQTT packets with their kinds.
var packets = []struct{ kind, bytes string }{
	{"CONNECT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"},
	{"CONNACK", "\x20\x02\x00\x00"},
	{"PUBLISH", "\x30\xc8\x01" + string(make([]byte, 200))},
	{"PUBLISH", "\x32\x80\x80\x04" + string(bytes.Repeat([]byte("\xc0\x00"), 1<<15))},
	{"PINGREQ", "\xc0\x00"},
	{"PUBACK", "\x40\x02\x00\x01"},
	{"DISCONNECT", "\xe0\x00"},
}

// Packets are found for all ways to split the stream into messages, and the messages
// into pieces.
func TestStream(t *testing.T) {
	k := declare(t, messagekind.MQTT())
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var stream []byte
		begins := make(map[int]string)
		for range 30 {
			p := packets[random.IntN(len(packets))]
			begins[len(stream)] = p.kind
			stream = append(stream, p.bytes...)
		}
		s, key := k.Stream(), [4]byte{byte(seed), 7, 0, 200}
		for at := 0; at < len(stream); {
			n := min(1+random.IntN(1<<random.IntN(16)), len(stream)-at)
			want := "none"
			for i := at; i < at+n && want == "none"; i++ {
				if kind, ok := begins[i]; ok {
					want = kind
				}
			}
			message := slices.Clone(stream[at : at+n])
			for i := range message {
				message[i] ^= key[i&3]
			}
			s.Begin()
			for i := 0; i < n; {
				m := min(1+random.IntN(n), n-i)
				s.WriteMasked(message[i:i+m], key, int64(i))
				i += m
			}
			if got := k.Names()[s.End()]; got != want {
				t.Fatalf("seed %d: the message from %d to %d is %s, want %s", seed, at, at+n, got, want)
			}
			at += n
		}
	}
}

// After an invalid packet, no more packets are found.
func TestStreamLost(t *testing.T) {
	for _, bad := range []string{"\x00", "\x62\x02\x00\x01\xff", "\x30\xff\xff\xff\xff\x01"} {
		k := declare(t, messagekind.MQTT())
		s := k.Stream()
		for i, message := range []string{"\xc0\x00", bad, "\xc0\x00"} {
			s.Begin()
			s.Write([]byte(message))
			want := "other"
			if i == 0 {
				want = "PINGREQ"
			}
			if got := k.Names()[s.End()]; got != want {
				t.Errorf("%q: message %d is %s, want %s", bad, i, got, want)
			}
		}
	}
	if declare(t, messagekind.STOMP()).Stream() != nil {
		t.Error("messages of STOMP make a stream")
	}
}

// FuzzStream splits any bytes into messages in two ways, and compares the kinds.
func FuzzStream(f *testing.F) {
	var all []byte
	for _, p := range packets {
		f.Add([]byte(p.bytes), uint(3))
		all = append(all, p.bytes...)
	}
	f.Add(all, uint(700))
	k := declare(f, messagekind.MQTT())
	f.Fuzz(func(t *testing.T, b []byte, step uint) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		n := max(int(step%(1<<12)), 1)
		bytewise, s := k.Stream(), k.Stream()
		for at := 0; at < len(b); at += n {
			message := b[at:min(at+n, len(b))]
			want := k.Place(messagekind.None)
			for i := range message {
				bytewise.Begin()
				bytewise.Write(message[i : i+1])
				kind := bytewise.End()
				if want == k.Place(messagekind.None) || kind == k.Place(messagekind.Other) {
					want = kind
				}
			}
			s.Begin()
			s.Write(message)
			if got := s.End(); got != want {
				t.Fatalf("%q at %d: %s, want %s", message, at, k.Names()[got], k.Names()[want])
			}
		}
	})
}
