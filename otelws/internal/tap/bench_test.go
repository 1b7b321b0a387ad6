package tap

import (
	"encoding/binary"
	"testing"
)

// repeating is a transport whose Reads return the same pieces in a loop.
type repeating struct {
	pieces [][]byte
	next   int
}

func (r *repeating) Read(p []byte) (int, error) {
	n := copy(p, r.pieces[r.next])
	r.next = (r.next + 1) % len(r.pieces)
	return n, nil
}
func (*repeating) Write(p []byte) (int, error) { return len(p), nil }
func (*repeating) Close() error                { return nil }

// BenchmarkTap measures the cost of the tap for a message in a loop, with everything in
// the cache. It is the lower limit of the cost. Bare is the cost of the transport
// alone.
func BenchmarkTap(b *testing.B) {
	small, large := binaryMessage(64, false), binaryMessage(16<<10, false)
	in := binaryMessage(16<<10, true)
	for _, c := range []struct {
		name   string
		reads  [][]byte
		writes [][]byte
	}{
		{"Read64B", [][]byte{binaryMessage(64, true)}, nil},
		{"Write64B", nil, [][]byte{small}},
		{"Read16KiB", [][]byte{in[:4096], in[4096:8192], in[8192:]}, nil},
		{"Write16KiB", nil, [][]byte{large[:4096], large[4096:]}},
	} {
		transport := &repeating{pieces: c.reads}
		buf := make([]byte, len(in))
		run := func(b *testing.B, rw interface {
			Read([]byte) (int, error)
			Write([]byte) (int, error)
		}) {
			b.ReportAllocs()
			for b.Loop() {
				for range c.reads {
					_, _ = rw.Read(buf)
				}
				for _, p := range c.writes {
					_, _ = rw.Write(p)
				}
			}
		}
		b.Run(c.name+"/Bare", func(b *testing.B) { run(b, transport) })
		b.Run(c.name+"/Tap", func(b *testing.B) {
			_, app, _ := open(b, transport)
			run(b, app)
		})
		b.Run(c.name+"/Speaking", func(b *testing.B) { // between two heartbeats
			conn, app, _ := open(b, transport)
			conn.session.Load().speaking()
			run(b, app)
		})
	}
}

// binaryMessage returns a message in one frame.
func binaryMessage(n int, masked bool) []byte {
	b := []byte{0x82, byte(n)}
	if n > 125 {
		b = binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(n))
	}
	if masked {
		b[1] |= 0x80
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, make([]byte, n)...)
}
