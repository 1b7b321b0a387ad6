package otelws

import (
	"context"
	"net/http"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/span"
)

// handshake is one request for a WebSocket, until its response.
type handshake struct {
	side    *side
	outer   *connection // for the same request, of another provider
	start   clock.Instant
	request *http.Request // as the handler sees it; nil after the handshake
	late    bool          // the span is created at the end of the handshake

	mu          sync.Mutex
	span        *span.Handshake // nil if there is none, or it has ended
	values      map[attribute.Key]string
	subprotocol string // from the response
	over        bool
	forget      func() // removes a Listener's handshake from listened
}

// begin begins the handshake of r. It returns a copy of r to pass on, with the connection in its
// context.
func (c *connection) begin(s *side, r *http.Request) *http.Request {
	c.side, c.start = s, clock.Now()
	if s.role == server {
		c.outer = underWay(r)
	}
	c.span, r = s.startSpan(r)
	r = r.WithContext(context.WithValue(r.Context(), connectionKey{}, c))
	c.request = r
	return r
}

// beginLate begins the handshake of r, which a door read from the connection, at start. Its span is
// created at the end of the handshake, because a Handler may take over until then.
func (c *connection) beginLate(s *side, r *http.Request, start clock.Instant) {
	c.side, c.start, c.late = s, start, true
	c.request = r.WithContext(context.WithValue(r.Context(), connectionKey{}, c))
}

func (s *side) startSpan(r *http.Request, opts ...trace.SpanStartOption) (*span.Handshake, *http.Request) {
	if s.role == server {
		return s.in.spans.Accept(r, opts...)
	}
	return s.in.spans.Dial(r, opts...)
}

// startLate creates the span of a finished handshake, if there is none yet.
func (h *handshake) startLate() {
	if !h.late {
		return
	}
	h.late = false
	span, r := h.side.startSpan(h.request, trace.WithTimestamp(clock.Time(h.start)))
	*h.request = *r // keeps the pointer, which the application's connection holds
	h.mu.Lock()
	defer h.mu.Unlock()
	h.span = span
}

// takeSpan returns the span, to be ended. Later calls return nil.
func (h *handshake) takeSpan() *span.Handshake {
	h.mu.Lock()
	defer h.mu.Unlock()
	span := h.span
	h.span = nil
	return span
}

// underWay returns the innermost connection for which r is a handshake in progress, or nil. A
// handshake that is over does not count: its request may have been forwarded, as by ReverseProxy.
func underWay(r *http.Request) *connection {
	c := connectionFrom(r.Context())
	if c == nil || c.side.role != server || c.isOver() {
		return nil
	}
	return c
}

// withoutBody removes the body of the request. Through the body, net/http would make the connection
// refer to itself.
func (h *handshake) withoutBody() {
	if r := h.request; hasBody(r) {
		h.request = r.WithContext(r.Context())
		h.request.Body = http.NoBody
	}
}

// pass replaces the request by r, which the handler sees.
func (h *handshake) pass(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.request = r
	}
}

// setValue reports whether the handshake was still open.
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

// finish ends the handshake, and makes the attributes final. It reports whether this call did so.
func (h *handshake) finish() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.over
	h.over = true
	if !was {
		h.side.in.handshakes.Add(-1)
	}
	if h.forget != nil {
		h.forget()
		h.forget = nil
	}
	return !was
}

func (h *handshake) isOver() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over
}

// findCombination returns the combination of the application's attributes. It calls the functions of
// the application.
func (h *handshake) findCombination() *combination {
	i := 0
	for _, e := range h.side.enums {
		i *= len(e.values)
		if v, ok := h.values[e.key]; ok {
			i += e.fold(v)
		} else {
			i += e.evaluate(h.request, h.subprotocol)
		}
	}
	return h.side.combinations[i]
}

// record records the metrics of a finished handshake, and ends its span.
func (h *handshake) record(c *combination, status int) {
	if s := h.takeSpan(); s != nil {
		s.End(h.route(c), status)
	}
	at := foldStatus(status)
	opts := c.handshakes[at].get(c.attrs, keyStatus.Int(statuses[at]))
	ctx := spanContextOnly(h.request.Context())
	h.side.instruments.handshake.Record(ctx, (clock.Now() - h.start).Seconds(), opts.record...)
	h.request = nil // its context may refer to the connection
}

// route returns the route of an accepted handshake: the value of the attribute http.route if it is
// declared, and otherwise the route that a mux has set.
func (h *handshake) route(c *combination) string {
	if h.side.role == client {
		return ""
	}
	for _, kv := range c.attrs {
		if route := kv.Value.AsString(); kv.Key == keyRoute && route != OtherValue {
			return route
		}
	}
	return span.RouteOf(h.request.Pattern)
}

// spanContextOnly returns a context with nothing but the sampled span context of ctx. That is all
// an exemplar needs, and values are found faster in a flat context.
func spanContextOnly(ctx context.Context) context.Context {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsSampled() {
		return context.Background()
	}
	return trace.ContextWithSpanContext(context.Background(), sc)
}
