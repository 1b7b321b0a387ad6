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

// BroadcastOptions configures [Instrumentation.Broadcast]. The zero value means the defaults.
type BroadcastOptions struct {
	// Destination is the destination of the messages; see the function [Destination]. Empty means
	// none.
	Destination string
	// Timeout is the time limit of each write. 0 means 5 seconds.
	Timeout time.Duration
	// Concurrency is the number of concurrent writes. 0 means 16.
	Concurrency int
}

const (
	defaultBroadcastTimeout     = 5 * time.Second
	defaultBroadcastConcurrency = 16
)

// Broadcast writes one message to several connections, with one PRODUCER span for all of them. The
// span counts the writes that succeeded and those that failed. It has an error if every write
// failed. Broadcast returns the error of each failed write, and nil if all succeeded. opts may be
// nil.
//
// A connection that does not accept the message within the timeout is closed by coder/websocket,
// like after any Write whose context ends. Such a connection occupies one of the concurrent writes
// until then; the other writes continue.
//
// The message is encoded at most once for each form of context inside messages.
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

	s.endBroadcast(len(to), len(failed), first)
	return failed
}

// endBroadcast ends the span of a message that was sent to several connections. first is the first
// error, if there was one.
func (s Sending) endBroadcast(to, failed int, first error) {
	if s.span == nil {
		return
	}
	defer end(s.span)
	defer contain(nil)
	s.span.SetAttributes(keyDelivered.Int(to-failed), keyFailed.Int(failed))
	if failed == to && to > 0 {
		s.span.SetStatus(codes.Error, exportable(first).Error())
		s.span.SetAttributes(errorType(first))
	}
}

func (i *Instrumentation) startBroadcast(ctx context.Context, typ websocket.MessageType, data []byte, to []*Conn, destination string) (context.Context, trace.SpanContext, Sending) {
	m := *i.broadcast
	if destination != "" {
		m.send = newOperation("send", trace.SpanKindProducer, operationSend, trace.SpanContext{}, destination)
	}
	// The handshake must never be the parent of messages.
	in := trace.SpanContextFromContext(ctx)
	for _, c := range to {
		if in.IsValid() && c.handshake.TraceID() == in.TraceID() && c.handshake.SpanID() == in.SpanID() {
			ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
			break
		}
	}
	return m.startSend(ctx, typ, data)
}
