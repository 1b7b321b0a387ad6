package otelws

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/tracing"
)

// handshake is one request for a WebSocket, from its arrival to the response,
// and what the connection that comes of it has to know of it.
type handshake struct {
	side    *side
	outer   *handshake // of the same request, by another provider
	start   instant
	request *http.Request // as the handler sees it, until it is settled
	conn    *conn         // once the transport is known
	span    *tracing.HandshakeSpan

	// Under the conn's locks of inbound and outbound, until it is open.
	waiting *bytes.Buffer // what has come from the peer
	head    *bytes.Buffer // of a response that the library writes itself, so far

	mu          sync.Mutex
	set         map[attribute.Key]string
	subprotocol string // from the response
	rsv         byte   // the RSV bits that the negotiated extensions may set
	settled     bool
}

// handshakeKey is the key of the *handshake in a request's context.
type handshakeKey struct{}

func handshakeFrom(ctx context.Context) *handshake {
	h, _ := ctx.Value(handshakeKey{}).(*handshake)
	return h
}

// begin begins the handshake of r, and returns the request to pass on. Where
// somebody may look for the handshake in its context, or the span, it is a copy
// of r, which a handler keeps for as long as its connection.
func (h *handshake) begin(s *side, r *http.Request) *http.Request {
	h.side, h.start = s, now()
	if s.role == server {
		h.span, r = s.in.spans.Accept(r)
	} else {
		h.span, r = s.in.spans.Dial(r)
	}
	if h.span != nil || s.role == client || s.settable() {
		r = r.WithContext(context.WithValue(r.Context(), handshakeKey{}, h))
	}
	h.request = r
	return r
}

// kept returns the request that the application's handle of the connection keeps
// for the Summary, nil where there will be none.
func (h *handshake) kept() *http.Request {
	if len(h.side.in.config.onClose) == 0 {
		return nil
	}
	return h.request
}

// withoutBody has the request lose its body, through which net/http would have
// the connection refer to itself.
func (h *handshake) withoutBody() {
	if r := h.request; r.Body != nil && r.Body != http.NoBody {
		h.request = r.WithContext(r.Context())
		h.request.Body = http.NoBody
	}
}

// pass has r, which the handler sees, stand for the request.
func (h *handshake) pass(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.settled {
		h.request = r
	}
}

// Set gives the attribute name, declared by [WithEnum], its value for the
// connection that the request with context ctx asks for. It serves what is
// known only after authentication. A value that is not declared is recorded as
// [Other].
//
// It returns an error, and changes nothing, where ctx is not one that the
// [Instrumentation.Handler] of an Instrumentation with a WithEnum made, where no
// WithEnum declared name, and after the response to the handshake, when
// attributes are final. Where Handlers of several providers are around a handler,
// it is for all that declare name.
func Set(ctx context.Context, name, value string) error {
	h := handshakeFrom(ctx)
	if h == nil {
		return fmt.Errorf("otelws: failed to set %s: the context is not that of a WebSocket request behind the Handler of an Instrumentation with a WithEnum", name)
	}
	declared, set := false, false
	for ; h != nil; h = h.outer {
		if h.side.declares(attribute.Key(name)) {
			declared = true
			set = h.setValue(attribute.Key(name), value) || set
		}
	}
	switch {
	case !declared:
		return fmt.Errorf("otelws: failed to set %s: no WithEnum declares it", name)
	case !set:
		return fmt.Errorf("otelws: failed to set %s: the handshake has been answered", name)
	}
	return nil
}

// setValue says whether it was in time.
func (h *handshake) setValue(key attribute.Key, value string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled {
		return false
	}
	if h.set == nil {
		h.set = make(map[attribute.Key]string)
	}
	h.set[key] = value
	return true
}

// maxWaiting bounds what is kept while the response has not gone out. A peer
// that goes beyond is no WebSocket's.
const maxWaiting = 64 << 10

// hold keeps b, which the peer has sent, until the response has gone out, unless
// it is too much.
func (h *handshake) hold(b []byte) bool {
	if h.waiting == nil {
		h.waiting = new(bytes.Buffer)
	}
	if h.waiting.Len()+len(b) > maxWaiting {
		return false
	}
	h.waiting.Write(b)
	return true
}

// settle makes the attributes final, and says whether it was this call that
// did: who settles a handshake records it.
func (h *handshake) settle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.settled
	h.settled = true
	return !was
}

// end records a handshake that came to no connection, unless it is settled.
func (h *handshake) end(status int) {
	if h.settle() {
		h.record(h.side.setOf(h), status)
		h.request = nil
	}
}

// record takes the measurements of a settled handshake, and ends its span.
func (h *handshake) record(t *set, status int) {
	h.span.End(h.request, status)
	h.span = nil
	at := foldStatus(status)
	opts := t.handshakes[at].get(t.attrs, keyStatus.Int(statuses[at]))
	ctx := spanContextOnly(h.request.Context())
	h.side.instruments.handshake.Record(ctx, (now() - h.start).Seconds(), opts.record...)
}

func (h *handshake) isSettled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settled
}

// answered takes from the response what the connection needs to know.
func (h *handshake) answered(header http.Header) {
	h.subprotocol = header.Get("Sec-WebSocket-Protocol")
	h.rsv = 0
	for extension := range tokens(header, "Sec-WebSocket-Extensions") {
		name, _, _ := strings.Cut(extension, ";")
		if strings.TrimSpace(name) == "permessage-deflate" {
			h.rsv |= frame.RSV1
		} else {
			h.rsv |= frame.RSV1 | frame.RSV2 | frame.RSV3
		}
	}
}

// spanContextOnly returns a context with the sampled span context of ctx and
// nothing else: a measurement needs no more for its exemplar, and a flat
// context is cheap to search.
func spanContextOnly(ctx context.Context) context.Context {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsSampled() {
		return context.Background()
	}
	return trace.ContextWithSpanContext(context.Background(), sc)
}

// asksForWebSocket says whether a request opens a WebSocket (RFC 6455 section
// 4.1), right or wrong in its details.
func asksForWebSocket(header http.Header) bool {
	return hasToken(header, "Upgrade", "websocket") && hasToken(header, "Connection", "upgrade")
}

// switchedToWebSocket says whether a response agrees to the WebSocket.
func switchedToWebSocket(status int, header http.Header) bool {
	return status == http.StatusSwitchingProtocols && hasToken(header, "Upgrade", "websocket")
}

func hasToken(h http.Header, name, token string) bool {
	for t := range tokens(h, name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// tokens yields the elements of a header that is a comma-separated list.
func tokens(h http.Header, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range h.Values(name) {
			for t := range strings.SplitSeq(line, ",") {
				if t = strings.TrimSpace(t); t != "" && !yield(t) {
					return
				}
			}
		}
	}
}
