package deflate_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/deflate"
)

// BenchmarkMessage counts and inflates a message.
func BenchmarkMessage(b *testing.B) {
	all := corpus()
	for _, name := range []string{"text", "json", "random"} {
		for _, size := range []int{64, 1 << 10, 16 << 10} {
			payload := compress(b, flate.BestSpeed, all[name][:size])
			b.Run(fmt.Sprintf("%s/%d/Count", name, size), func(b *testing.B) {
				c := new(deflate.Counter)
				b.SetBytes(int64(size))
				for b.Loop() {
					count(c, payload)
				}
			})
			b.Run(fmt.Sprintf("%s/%d/Inflate", name, size), func(b *testing.B) {
				in := bytes.NewReader(nil)
				r := flate.NewReader(in)
				b.SetBytes(int64(size))
				for b.Loop() {
					in.Reset(payload)
					_ = r.(flate.Resetter).Reset(in, nil)
					_, _ = io.Copy(io.Discard, r)
				}
			})
		}
	}
}
