package tracing

import (
	"context"
	"errors"
	"fmt"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/trace"
)

// Conn reads and writes the messages of a [websocket.Conn] with spans. The
// connection stays the caller's, who configures and closes it; its read limit
// counts the envelope.
type Conn struct {
	*Messages
	ws *websocket.Conn
}

// Conn returns a Conn for c. ctx is that of the handshake: a server has it in
// its request, a client in resp.Request. Nothing of it is kept but the span
// context.
func (i *Instrumentation) Conn(ctx context.Context, c *websocket.Conn, opts ...ConnOption) (*Conn, error) {
	if c == nil {
		return nil, errors.New("tracing: connection is nil")
	}
	cfg, err := newConnConfig(append([]ConnOption{Subprotocol(c.Subprotocol())}, opts...))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return &Conn{newMessages(i, trace.SpanContextFromContext(ctx), cfg), c}, nil
}

// Serve reads messages until one can't be read, and has handle called with each,
// one after another. The context of a call holds the message's span, which ends
// when handle returns; the rest of it is ctx.
//
// It returns the error of Read as it is, so that [websocket.CloseStatus] knows
// it, or the first error of handle, once it is recorded on the span; it never
// returns nil, and never closes the connection. An error that [KeepServing]
// returned is recorded and ends nothing. A panic is recorded and goes on.
func (c *Conn) Serve(ctx context.Context, handle func(ctx context.Context, typ websocket.MessageType, data []byte) error) error {
	for {
		typ, message, err := c.ws.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.handle(ctx, typ, message, handle); err != nil {
			if _, ok := err.(*kept); !ok {
				return err
			}
		}
	}
}

func (c *Conn) handle(ctx context.Context, typ websocket.MessageType, message []byte, handle func(context.Context, websocket.MessageType, []byte) error) (err error) {
	ctx, payload, p := c.StartReceive(ctx, typ, message)
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil { // runtime.Goexit
			p.end(outcomeDone)
			return
		}
		p.panicked(v)
		panic(v)
	}()
	err = handle(ctx, typ, payload)
	returned = true
	if k, ok := err.(*kept); ok {
		p.End(k.err)
	} else {
		p.End(err)
	}
	return err
}

// KeepServing returns an error that is recorded as err where the handler of a
// message returns it, and that does not end [Conn.Serve]. It is nil if err is.
func KeepServing(err error) error {
	if err == nil {
		return nil
	}
	return &kept{err}
}

type kept struct{ err error }

func (k *kept) Error() string { return k.err.Error() }
func (k *kept) Unwrap() error { return k.err }

// Send writes a message with a span of its own, as [Messages.StartSend] says.
// Its error, and what a context that ends does, are those of Write.
func (c *Conn) Send(ctx context.Context, typ websocket.MessageType, data []byte) error {
	_, message, s := c.StartSend(ctx, typ, data)
	err := c.ws.Write(ctx, typ, message)
	s.End(err)
	return err
}

// Unwrap returns the connection that c reads and writes.
func (c *Conn) Unwrap() *websocket.Conn { return c.ws }
