package otelws

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/tracing"
)

// Initiator says who ended a connection: who sent the first close frame or,
// where there was none, what ended the transport.
type Initiator uint8

const (
	// InitiatorPeer is the other side: its close frame, an EOF, a reset or a
	// broken pipe.
	InitiatorPeer = Initiator(tap.Peer)
	// InitiatorLocal is this side: its close frame, or a transport that it
	// closed without one.
	InitiatorLocal = Initiator(tap.Local)
	// InitiatorTimeout is nobody: a heartbeat without an answer, a connection
	// that the kernel gave up, a transport closed after its deadline had passed
	// or while a write was stuck in it.
	InitiatorTimeout = Initiator(tap.Timeout)
)

var initiators = [...]string{
	InitiatorPeer:    "peer",
	InitiatorLocal:   "local",
	InitiatorTimeout: "timeout",
}

// String returns the value of the initiator attribute.
func (i Initiator) String() string {
	if int(i) < len(initiators) {
		return initiators[i]
	}
	return OtherValue
}

// Summary is what is known of a connection at its end. It holds what no label
// may: which client it was.
type Summary struct {
	// Code is that of the first close frame in either direction, 1005 where it
	// held none, and 1006 where there was no close frame (RFC 6455 section
	// 7.1.5). It is 0 for a frame with a code that must not be sent.
	Code websocket.StatusCode
	// Reason is the text in that frame, up to 123 bytes which the peer may
	// have chosen.
	Reason    string
	Initiator Initiator
	// Err is the error of the transport that ended the connection. It is nil
	// where this side closed the transport.
	Err error

	// Duration counts from the end of the handshake.
	Duration time.Duration
	// Messages are those that passed whole. Bytes are those of the
	// transport since the handshake, frame headers included.
	MessagesReceived, MessagesSent int64
	BytesReceived, BytesSent       int64

	// Client is true for a dialed connection.
	Client bool
	// Request is that of the handshake, as the handler saw it. Its body has
	// been used up, and its context may have been cancelled.
	Request *http.Request
}

// LogClosed returns a function for [WithOnClose] that logs each summary: at
// Info, or at Warn for 1006. Where the handshake had a span context, the
// record carries its trace_id and span_id. A nil logger is [slog.Default].
//
// The record has the path of the request, up to 1 KiB of it, and never its query
// or headers, which is where tokens are. An EOF after a close frame is no error.
func LogClosed(logger *slog.Logger) func(context.Context, Summary) {
	return func(ctx context.Context, s Summary) {
		l := logger
		if l == nil {
			l = slog.Default()
		}
		level := slog.LevelInfo
		if s.Code == websocket.StatusAbnormalClosure {
			level = slog.LevelWarn
		}
		if !l.Enabled(ctx, level) {
			return
		}
		l.LogAttrs(ctx, level, "websocket closed", s.logAttrs(ctx)...)
	}
}

func (s Summary) logAttrs(ctx context.Context) []slog.Attr {
	attrs := []slog.Attr{
		slog.Int("code", int(s.Code)),
		slog.String("initiator", s.Initiator.String()),
		slog.Duration("duration", s.Duration),
		slog.Int64("messages_received", s.MessagesReceived),
		slog.Int64("messages_sent", s.MessagesSent),
		slog.Int64("bytes_received", s.BytesReceived),
		slog.Int64("bytes_sent", s.BytesSent),
	}
	if s.Reason != "" {
		attrs = append(attrs, slog.String("reason", s.Reason))
	}
	if s.Err != nil && (s.Code == websocket.StatusAbnormalClosure || !errors.Is(s.Err, io.EOF)) {
		attrs = append(attrs, slog.String("error", s.Err.Error()))
	}
	if r := s.Request; r != nil {
		attrs = append(attrs, slog.String("path", logged(r.URL.Path)))
		if r.RemoteAddr != "" {
			attrs = append(attrs, slog.String("remote_addr", r.RemoteAddr))
		}
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		attrs = append(attrs,
			slog.String("trace_id", sc.TraceID().String()),
			slog.String("span_id", sc.SpanID().String()))
	}
	return attrs
}

// logged is the beginning of a path, which a peer may have chosen.
func logged(path string) string {
	if len(path) > tracing.MaxAttribute {
		return path[:tracing.MaxAttribute] + "..."
	}
	return path
}
