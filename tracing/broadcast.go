package tracing

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// BroadcastOptions are those of [Instrumentation.Broadcast]. The zero value has
// the defaults.
type BroadcastOptions struct {
	// Destination is that of the span, as [Destination] has it.
	Destination string
	// Timeout bounds each write. It is 5 seconds where it is 0.
	Timeout time.Duration
	// Concurrency is the number of writes at a time. It is 16 where it is 0.
	Concurrency int
}

const (
	defaultBroadcastTimeout     = 5 * time.Second
	defaultBroadcastConcurrency = 16
)

// Broadcast writes one message to several connections, with one PRODUCER span
// that says how many it was delivered to, that is written, and how many failed.
// It returns the errors of those that failed, and nil if none did. The span has
// an error where every write failed. opts may be nil.
//
// The message is encoded at most once for each way in which connections carry
// context. A connection that does not take it within the timeout is closed by
// coder/websocket, as by any Write whose context ends: it keeps one of the
// concurrent writes waiting so long, and the others not at all.
func (i *Instrumentation) Broadcast(ctx context.Context, typ websocket.MessageType, data []byte, to []*Conn, opts *BroadcastOptions) map[*Conn]error {
	var o BroadcastOptions
	if opts != nil {
		o = *opts
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultBroadcastTimeout
	}
	if o.Concurrency <= 0 {
		o.Concurrency = defaultBroadcastConcurrency
	}

	_, sc, s := i.startBroadcast(ctx, typ, data, to, o.Destination)
	var encoded [modes][]byte
	for _, c := range to {
		if encoded[c.mode] == nil {
			encoded[c.mode] = encode(c.mode, typ, data, sc)
		}
	}

	var (
		next    atomic.Int64
		workers sync.WaitGroup
		mu      sync.Mutex
		failed  map[*Conn]error
		first   error
	)
	for range min(o.Concurrency, len(to)) {
		workers.Go(func() {
			for k := next.Add(1) - 1; k < int64(len(to)); k = next.Add(1) - 1 {
				c := to[k]
				wctx, cancel := context.WithTimeout(ctx, o.Timeout)
				err := c.ws.Write(wctx, typ, encoded[c.mode])
				cancel()
				if err == nil {
					continue
				}
				mu.Lock()
				if failed == nil {
					failed, first = make(map[*Conn]error), err
				}
				failed[c] = err
				mu.Unlock()
			}
		})
	}
	workers.Wait()

	if s.span != nil {
		s.span.SetAttributes(keyDelivered.Int(len(to)-len(failed)), keyFailed.Int(len(failed)))
		if len(failed) == len(to) && len(to) > 0 {
			s.span.SetStatus(codes.Error, first.Error())
			s.span.SetAttributes(errorType(first))
		}
		s.span.End()
	}
	return failed
}

func (i *Instrumentation) startBroadcast(ctx context.Context, typ websocket.MessageType, data []byte, to []*Conn, destination string) (context.Context, trace.SpanContext, Sending) {
	m := *i.broadcast
	if destination != "" {
		m.send = newOperation("send", trace.SpanKindProducer, operationSend, trace.SpanContext{}, destination)
	}
	// A handshake is no parent of messages.
	in := trace.SpanContextFromContext(ctx)
	for _, c := range to {
		if in.IsValid() && c.handshake.TraceID() == in.TraceID() && c.handshake.SpanID() == in.SpanID() {
			ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
			break
		}
	}
	return m.startSend(ctx, typ, data)
}
