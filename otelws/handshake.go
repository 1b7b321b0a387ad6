package otelws

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/tracing"
)

// handshake is one request for a WebSocket, from its arrival to the response.
type handshake struct {
	side    *side
	outer   *connection // of the same request, by another provider
	start   clock.Instant
	request *http.Request // as the handler sees it, until the handshake is over
	body    *requestBody  // nil where the request has none
	late    bool          // the span is made when the handshake is over

	mu          sync.Mutex
	span        *tracing.HandshakeSpan // nil where there is none, and once it has ended
	values      map[attribute.Key]string
	subprotocol string // from the response
	over        bool
	forget      func() // of a Listener's, that the handshake is under way
}

// connectionKey is the key of the *connection in a request's context.
type connectionKey struct{}

func connectionFrom(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// begin begins the handshake of r, and returns the request to pass on: a copy of r
// in whose context the connection is found.
func (c *connection) begin(s *side, r *http.Request) *http.Request {
	h := &c.handshake
	h.side, h.start = s, clock.Now()
	if s.role == server {
		h.outer = underWay(r)
	}
	h.span, r = s.startSpan(r)
	r = r.WithContext(context.WithValue(r.Context(), connectionKey{}, c))
	if s.role == server && hasBody(r) {
		h.body = &requestBody{ReadCloser: r.Body}
		r.Body = h.body
	}
	h.request = r
	return r
}

// beginLate begins the handshake of r, which a door has seen on the wire, at start.
// Its span is made when it is over: until then a Handler may take over.
func (c *connection) beginLate(s *side, r *http.Request, start clock.Instant) {
	c.side, c.start, c.late = s, start, true
	c.request = r.WithContext(context.WithValue(r.Context(), connectionKey{}, c))
}

func (s *side) startSpan(r *http.Request, opts ...trace.SpanStartOption) (*tracing.HandshakeSpan, *http.Request) {
	if s.role == server {
		return s.in.spans.Accept(r, opts...)
	}
	return s.in.spans.Dial(r, opts...)
}

// startLate makes the span of a handshake that is over, where there is none so far.
func (h *handshake) startLate() {
	if !h.late {
		return
	}
	h.late = false
	span, r := h.side.startSpan(h.request, trace.WithTimestamp(clock.Time(h.start)))
	*h.request = *r // the application's connection keeps the request that it is
	h.mu.Lock()
	defer h.mu.Unlock()
	h.span = span
}

// takeSpan returns the span for its end, once.
func (h *handshake) takeSpan() *tracing.HandshakeSpan {
	h.mu.Lock()
	defer h.mu.Unlock()
	span := h.span
	h.span = nil
	return span
}

// underWay returns the innermost connection whose handshake r is and is under way,
// nil where nobody watches r. A handshake that is over says nothing: its request
// may have been handed on, as ReverseProxy does.
func underWay(r *http.Request) *connection {
	c := connectionFrom(r.Context())
	if c == nil || c.handshake.side.role != server || c.handshake.isOver() {
		return nil
	}
	return c
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// requestBody is the body of a request, which net/http reads through the buffer
// that a library takes over with the connection.
type requestBody struct {
	io.ReadCloser
	read atomic.Bool // to its end
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.read.Store(true)
	}
	return n, err
}

// bodyMayBeRead says whether somebody may still read the body.
func (h *handshake) bodyMayBeRead() bool { return h.body != nil && !h.body.read.Load() }

// withoutBody has the request lose its body, through which net/http would have the
// connection refer to itself.
func (h *handshake) withoutBody() {
	if r := h.request; hasBody(r) {
		h.request = r.WithContext(r.Context())
		h.request.Body = http.NoBody
	}
}

// pass has r, which the handler sees, stand for the request.
func (h *handshake) pass(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.request = r
	}
}

// SetAttribute gives the attribute name, declared by [WithEnum], its value for the
// connection that the request with context ctx asks for. It serves what is
// known only after authentication. A value that is not declared is recorded as
// [OtherValue].
//
// It returns an error, and changes nothing, where ctx is not one that an
// [Instrumentation.Handler] made, where no WithEnum declared name, and after the
// response to the handshake, when attributes are final. Where Handlers of several
// providers are around a handler, it is for all that declare name.
func SetAttribute(ctx context.Context, name, value string) error {
	c := connectionFrom(ctx)
	if c == nil {
		return fmt.Errorf("otelws: failed to set %s: the context is not the context of a WebSocket request behind a Handler", name)
	}
	declared, set := false, false
	for ; c != nil; c = c.handshake.outer {
		if c.side.declares(attribute.Key(name)) {
			declared = true
			set = c.handshake.setValue(attribute.Key(name), value) || set
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
	if h.over {
		return false
	}
	if h.values == nil {
		h.values = make(map[attribute.Key]string)
	}
	h.values[key] = value
	return true
}

// finish makes the attributes final, and says whether it was this call that did.
func (h *handshake) finish() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.over
	h.over = true
	if h.forget != nil {
		h.forget()
		h.forget = nil
	}
	return !was
}

// listen has a Handler within the Listener find the handshake.
func (c *connection) listen(local net.Addr) {
	k := handshakeKeyOf(local, c.request)
	c.forget = func() { listened.remove(k, c) }
	listened.add(k, c)
}

func (h *handshake) isOver() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over
}

// record takes the measurements of a handshake that is over, and ends its span.
func (h *handshake) record(in *combination, status int) {
	h.takeSpan().End(h.request, status)
	at := foldStatus(status)
	opts := in.handshakes[at].get(in.attrs, keyStatus.Int(statuses[at]))
	ctx := spanContextOnly(h.request.Context())
	h.side.instruments.handshake.Record(ctx, (clock.Now() - h.start).Seconds(), opts.record...)
	h.request = nil // its context may lead to the connection
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
	return tap.HasToken(header, "Upgrade", "websocket") && tap.HasToken(header, "Connection", "upgrade")
}
