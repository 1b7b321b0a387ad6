package deflate_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/internal/deflate"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// BenchmarkEcho measures the round trip of a compressed message in memory, for both
// peers together, and the cost of counting one message in each direction at one peer.
// With -cpu 1 the time is close to the CPU time.
func BenchmarkEcho(b *testing.B) {
	all := corpus()
	for _, name := range []string{"text", "json"} {
		for _, size := range []int{64, 1 << 10, 16 << 10} {
			message := all[name][:size]
			b.Run(fmt.Sprintf("%s/%d/Echo", name, size), func(b *testing.B) { benchmarkEcho(b, message) })
			b.Run(fmt.Sprintf("%s/%d/Count", name, size), func(b *testing.B) {
				payload := compress(b, flate.BestSpeed, message)
				c := new(deflate.Counter)
				for b.Loop() {
					countMaskedInPlace(c, payload)
					count(c, payload)
				}
			})
		}
	}
}

// countMaskedInPlace counts p as a payload that is masked with a key of zeros.
func countMaskedInPlace(c *deflate.Counter, payload []byte) {
	c.Reset()
	c.FeedMasked(payload, [4]byte{}, 0)
	c.Finish()
}

func benchmarkEcho(b *testing.B, message []byte) {
	const mode = websocket.CompressionNoContextTakeover
	ws, err := otelws.New(otelws.WithMeterProvider(noop.NewMeterProvider()))
	if err != nil {
		b.Fatal(err)
	}
	server, client := otelwstest.Pair(b, ws,
		&websocket.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1},
		&websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			typ, p, err := server.Read(ctx)
			if err != nil || server.Write(ctx, typ, p) != nil {
				return
			}
		}
	}()
	defer func() { cancel(); <-done }()
	for b.Loop() {
		if err := client.Write(ctx, websocket.MessageText, message); err != nil {
			b.Fatal(err)
		}
		_, p, err := client.Read(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if !bytes.Equal(p, message) {
			b.Fatal("another message came back")
		}
	}
}
