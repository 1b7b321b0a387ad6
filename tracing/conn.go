package tracing

import (
	"context"
	"errors"
	"fmt"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/trace"
)

// Conn reads and writes the messages of a [websocket.Conn] with a span for each message. The caller
// still owns the connection, and configures and closes it. If messages have an envelope (see
// [Subprotocols]), the read limit of the connection includes it.
//
// Its methods are safe for concurrent use, except that only one goroutine may be in [Conn.Serve].
type Conn struct {
	*Messages
	ws *websocket.Conn
}

// Conn returns a Conn for c. ctx must hold the span context of the handshake: a server passes the
// context of the request, a client the context of resp.Request. Conn keeps only this span context.
// It returns an error if c or an option is nil.
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

// Serve reads messages and calls handle with each, one after the other, until an error ends it. The
// context that handle gets is ctx with the span of the message. The span ends when handle returns.
//
// Serve never returns nil, and it never closes the connection. It returns the error of Read
// unchanged, so that [websocket.CloseStatus] works. An error of handle is recorded on the span and
// then returned; wrap an error with [KeepServing] to continue after it. A panic of handle is
// recorded on the span and continues.
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

// KeepServing wraps an error of a message's handler so that [Conn.Serve] records it and continues.
// It returns nil if err is nil.
func KeepServing(err error) error {
	if err == nil {
		return nil
	}
	return &kept{err}
}

type kept struct{ err error }

func (k *kept) Error() string { return k.err.Error() }
func (k *kept) Unwrap() error { return k.err }

// Send writes a message with a span of its own; see [Messages.StartSend]. It returns the error of
// Write. As with Write, the connection is closed if ctx ends.
func (c *Conn) Send(ctx context.Context, typ websocket.MessageType, data []byte) error {
	_, message, s := c.StartSend(ctx, typ, data)
	err := c.ws.Write(ctx, typ, message)
	s.End(err)
	return err
}

// Unwrap returns the underlying connection.
func (c *Conn) Unwrap() *websocket.Conn { return c.ws }
