package otelws

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// handshake is one request for a WebSocket, from its arrival to the response.
type handshake struct {
	in      *Instrumentation
	side    *side
	start   instant
	request *http.Request // as the handler sees it
	conn    *conn         // once the transport is known

	// From the response.
	subprotocol string
	extensions  []string

	mu      sync.Mutex
	set     map[attribute.Key]string
	settled bool
}

// handshakeKey is the key of the *handshake in a request's context.
type handshakeKey struct{}

// newHandshake returns the handshake of r, and r with the handshake in its
// context.
func newHandshake(in *Instrumentation, s *side, r *http.Request) (*handshake, *http.Request) {
	h := &handshake{in: in, side: s, start: now()}
	h.request = r.WithContext(context.WithValue(r.Context(), handshakeKey{}, h))
	return h, h.request
}

func handshakeFrom(ctx context.Context) *handshake {
	h, _ := ctx.Value(handshakeKey{}).(*handshake)
	return h
}

// Set gives the attribute name, declared by [WithEnum], its value for the
// connection that the request with context ctx asks for. It serves what is
// known only after authentication. A value that is not declared is recorded as
// [Other].
//
// It returns an error, and changes nothing, where ctx is not one that a
// [Instrumentation.Handler] made, where no WithEnum declared name, and after
// the response to the handshake, when attributes are final.
func Set(ctx context.Context, name, value string) error {
	h := handshakeFrom(ctx)
	if h == nil {
		return fmt.Errorf("otelws: failed to set %s: the context is not that of a WebSocket request behind Handler", name)
	}
	key := attribute.Key(name)
	for _, e := range h.side.enums {
		if e.key != key {
			continue
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.settled {
			return fmt.Errorf("otelws: failed to set %s: the handshake has been answered", name)
		}
		if h.set == nil {
			h.set = make(map[attribute.Key]string)
		}
		h.set[key] = value
		return nil
	}
	return fmt.Errorf("otelws: failed to set %s: no WithEnum declares it", name)
}

// settle makes the attributes final and records the handshake, once. It
// returns the set of the attributes, or nil where that had been done.
func (h *handshake) settle(status int) *set {
	h.mu.Lock()
	settled := h.settled
	h.settled = true
	h.mu.Unlock()
	if settled {
		return nil
	}

	t := h.side.setOf(h)
	at := foldStatus(status)
	opts := t.handshakes[at].get(t.attrs, keyStatus.Int(statuses[at]))
	ctx := spanContextOnly(h.request.Context())
	h.side.instruments.handshake.Record(ctx, (now() - h.start).Seconds(), opts.record...)
	return t
}

// drop has nothing recorded of h: another handshake stands for the request.
func (h *handshake) drop() {
	h.mu.Lock()
	h.settled = true
	h.mu.Unlock()
}

func (h *handshake) isSettled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settled
}

// answered takes from the response what the connection needs to know.
func (h *handshake) answered(header http.Header) {
	h.subprotocol = header.Get("Sec-WebSocket-Protocol")
	h.extensions = nil
	for name := range tokens(header, "Sec-WebSocket-Extensions") {
		name, _, _ = strings.Cut(name, ";")
		h.extensions = append(h.extensions, strings.TrimSpace(name))
	}
}

// rsv returns the RSV bits that the negotiated extensions may set.
func (h *handshake) rsv() byte {
	switch {
	case len(h.extensions) == 0:
		return 0
	case len(h.extensions) == 1 && h.extensions[0] == "permessage-deflate":
		return frame.RSV1
	}
	return frame.RSV1 | frame.RSV2 | frame.RSV3
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
