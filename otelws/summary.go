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

	"github.com/otelws/otelws-go/otelws/internal/span"
	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Initiator is the side that ended a connection: the sender of the first close frame. If there was
// no close frame, it is the side whose action ended the transport.
type Initiator uint8

const (
	// InitiatorPeer means that the peer ended the connection: by its close frame, an EOF, a reset
	// or a broken pipe.
	InitiatorPeer = Initiator(tap.Peer)
	// InitiatorLocal means that this side ended the connection: by its close frame, or by closing
	// the transport without one.
	InitiatorLocal = Initiator(tap.Local)
	// InitiatorTimeout means that a timeout ended the connection: a heartbeat was not answered, the
	// kernel gave up the TCP connection, or this side closed the transport after a deadline had
	// passed or while a write was blocked.
	InitiatorTimeout = Initiator(tap.Timeout)
)

var initiators = [...]string{
	InitiatorPeer:    "peer",
	InitiatorLocal:   "local",
	InitiatorTimeout: "timeout",
}

// String returns the value of the attribute initiator.
func (i Initiator) String() string {
	if int(i) < len(initiators) {
		return initiators[i]
	}
	return OtherValue
}

// Summary describes a connection at its end. It has details that no metric label may have, such as
// the request of the client.
type Summary struct {
	// Code is the code of the first close frame in either direction. It is 1005 if that frame has
	// no code, and 1006 if there was no close frame (RFC 6455 section 7.1.5). It is 0 if that frame
	// has a code which must not be sent.
	Code websocket.StatusCode
	// Reason is the text in that close frame. It has at most 123 bytes. It may come from the peer.
	Reason    string
	Initiator Initiator
	// Err is the error of the transport that ended the connection. It is nil if this side closed
	// the transport.
	Err error

	// Duration is the time from the end of the handshake to the end of the connection.
	Duration time.Duration
	// These count whole messages, and all bytes of the transport after the handshake, including
	// frame headers.
	MessagesReceived, MessagesSent int64
	BytesReceived, BytesSent       int64

	// Client is true for a dialed connection.
	Client bool
	// Request is the request of the handshake, as the handler saw it. Do not read its body.
	// Its context may be cancelled.
	Request *http.Request
}

// LogClosed returns a function for [WithOnClose] that logs each summary. The level is Warn for the
// code 1006, and Info otherwise. If the handshake had a span, the record has its trace_id and
// span_id. A nil logger means [slog.Default].
//
// The record has the path of the request, cut after 1 KiB. It never has the query or the headers,
// because they may contain tokens. An EOF after a close frame is not logged as an error.
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
		if r.URL != nil {
			attrs = append(attrs, slog.String("path", logged(r.URL.Path)))
		}
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

// logged shortens a path, which a peer may have chosen.
func logged(path string) string {
	if len(path) > span.MaxAttribute {
		return span.Cut(path) + "..."
	}
	return path
}
