package otelws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
	"weak"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/span"
	"github.com/otelws/otelws-go/otelws/internal/table"
	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
	"github.com/otelws/otelws-go/tracing"
)

// connection is one request for a WebSocket, and the connection that results from it. It is the
// [tap.Recorder] of its own tap.
type connection struct {
	tap.Conn
	handshake
	table.Entry
	combination *combination    // set when the connection opens
	sampled     context.Context // has the span context; nil if it is not sampled
	summary     *summaryRequest // nil without WithOnClose
	beats       atomic.Pointer[heartbeat]
	told        atomic.Uint32 // state of the drain
	opening     atomic.Bool   // the response is being written
	tcp         *tcpSamples   // nil without WithTCPMetrics
}

// summaryRequest is the request of a Summary. As long as the application has the connection, it is
// the original request, whose context may refer to the connection. After that, it is a copy without
// that context.
type summaryRequest struct {
	whole   weak.Pointer[http.Request]
	remains *http.Request
}

func (r *summaryRequest) get() *http.Request { return cmp.Or(r.whole.Value(), r.remains) }

// kept returns the request that the Summary needs, to be kept alive with the connection. It is nil
// if there will be no Summary.
func (c *connection) kept() *http.Request {
	if len(c.side.in.config.onClose) == 0 {
		return nil
	}
	return c.request
}

func (c *connection) Opening(response http.Header) tap.Opening {
	c.opening.Store(true)
	c.side.in.opening.Add(1)
	returned := false
	defer func() {
		if !returned { // a function of the application called runtime.Goexit, as t.FailNow does
			c.endOpening()
		}
	}()
	c.subprotocol = response.Get(upgrade.ProtocolField)
	c.finish()
	c.startLate()
	c.combination = c.findCombination()
	ctx := spanContextOnly(c.request.Context())
	if ctx != context.Background() {
		c.sampled = ctx
	}
	if kept := c.kept(); kept != nil {
		c.summary = &summaryRequest{weak.Make(kept), kept.WithContext(ctx)}
	}
	o := tap.Opening{
		Shard:     c.combination.counts.Shard(),
		Messages:  c.side.recordsMessages || c.sampled != nil && c.side.hasExemplars(),
		Decode:    c.side.in.config.decoded,
		Kinds:     c.side.in.kinds,
		KindShard: c.combination.counts.KindShard(),
		Payload:   payloadOf(c.subprotocol),
		// net/http reads ahead until the hijack, and cancels the request at an EOF.
		PeerLeft: c.side.role == server && errors.Is(c.request.Context().Err(), context.Canceled),
	}
	if c.side.in.config.tcp {
		c.tcp = newTCPSamples(c)
		o.Closing = c.tcp.end
	}
	returned = true
	return o
}

// payloadOf returns a function that finds the part of a message that belongs to the application. It
// returns nil if that is the whole message.
func payloadOf(subprotocol string) func([]byte) []byte {
	if tracing.ApplicationSubprotocol(subprotocol) == subprotocol {
		return nil
	}
	return tracing.ApplicationPayload
}

func (c *connection) Opened() {
	i := c.side.in
	c.record(c.combination, http.StatusSwitchingProtocols)
	i.table.Add(c)
	c.combination.opened.Add(1)
}

// Begun starts the features that the options request.
func (c *connection) Begun() {
	i := c.side.in
	if h := i.config.heartbeats[c.side.role]; h != nil {
		_ = c.beat(context.Background(), h) // fails if the connection has already ended
	}
	if c.tcp != nil {
		c.tcp.begin()
	}
	if d := i.draining.Load(); d != nil {
		go c.leave(d)
	}
	c.endOpening()
}

// endOpening unblocks a drain that waits until the response has been written.
func (c *connection) endOpening() {
	if c.opening.Swap(false) {
		c.side.in.opening.Add(-1)
	}
}

// Refused records a handshake that did not become a connection. Later calls do nothing.
func (c *connection) Refused(status int) {
	defer c.contain()
	defer c.endOpening()
	if c.finish() || c.combination != nil {
		c.startLate()
		c.record(c.findCombination(), status)
	}
}

// Message records a message that its shard has already counted: with an instrument, or as an
// exemplar.
func (c *connection) Message(d count.Direction, size int64, kind int) {
	if instrument := c.side.instruments.messages[d]; instrument != nil {
		instrument.Record(c.context(), size, c.combination.messages.ofKind(kind).record...)
	} else if c.sampled != nil {
		c.combination.messages.ofKind(kind).exemplars[d](c.sampled, size)
	}
}

func (c *connection) RoundTrip(d time.Duration) {
	c.side.instruments.rtt.Record(c.context(), d.Seconds(), c.combination.heartbeat.record...)
}

func (c *connection) ProtocolError(err frame.Error) { c.side.protocol[errorType(err)].count.Add(1) }

func (c *connection) Ended(e tap.End) {
	i := c.side.in
	i.ending.Add(1)
	defer i.ending.Add(-1)
	defer c.summarize(e)
	// The measurements come first, so that they are visible to everybody who sees the connection
	// closed. The defer also counts it if they panic.
	defer c.closed(e)
	c.recordDuration(e)
	if c.tcp != nil {
		c.tcp.end()
	}
}

// closed counts the connection as closed.
func (c *connection) closed(e tap.End) {
	c.combination.closed[c.side.codes.fold(e.Code)].Add(1)
	switch told(c.told.Load()) {
	case notTold:
	case cut:
		c.side.drained[drainCut].Add(1)
	default:
		c.side.drained[drainClosed].Add(1)
	}
	c.side.in.ended.Add(c.ended(e))
	c.side.in.table.Remove(c)
	if h := c.beats.Load(); h != nil {
		h.stop()
	}
}

func (c *connection) recordDuration(e tap.End) {
	code, by := c.side.codes.fold(e.Code), Initiator(e.Initiator)
	opts := c.combination.durations[code*len(initiators)+int(by)].get(c.combination.durationAttrs,
		keyCode.String(c.side.codes.values[code]), keyInitiator.String(by.String()))
	c.side.instruments.duration.Record(c.context(), e.Duration.Seconds(), opts.record...)
	idle := foldIdle(e.Code)
	opts = c.side.idle[idle][by].get(nil, keyCode.String(idleCodes[idle]), keyInitiator.String(by.String()))
	c.side.instruments.idle.Record(c.context(), e.Silence.Seconds(), opts.record...)
}

// Leaving makes a connection that is closed during a drain send the drain's close frame.
func (c *connection) Leaving() (code websocket.StatusCode, reason string, ok bool) {
	d := c.side.in.draining.Load()
	if d == nil {
		return 0, "", false
	}
	c.told.CompareAndSwap(uint32(notTold), uint32(goodbye))
	return d.code, d.reason, true
}

func (c *connection) Fault(v any) {
	c.endOpening()
	c.side.fault(v)
	c.finish()
	c.takeSpan().Abandon()
}

// contain reports a panic, which must not become a panic of the application.
func (c *connection) contain() {
	if v := recover(); v != nil {
		c.Fault(v)
	}
}

// fault reports a panic of the instrumentation, or of an application's function that it calls.
func (s *side) fault(v any) {
	s.protocol[internalError].count.Add(1)
	otel.Handle(fmt.Errorf("otelws: internal fault: this connection is not parsed any more: %v", v))
}

// context returns the context for measurements, which selects exemplars.
func (c *connection) context() context.Context {
	if c.sampled != nil {
		return c.sampled
	}
	return context.Background()
}

// summarize makes the span of the connection's end, and calls the functions of WithOnClose.
func (c *connection) summarize(e tap.End) {
	if c.sampled == nil && c.summary == nil {
		return
	}
	s := Summary{
		Code:             e.Code,
		Initiator:        Initiator(e.Initiator),
		Reason:           e.Reason,
		Err:              e.Cause,
		Duration:         e.Duration,
		Client:           c.side.role == client,
		MessagesReceived: e.Received.Messages(),
		MessagesSent:     e.Sent.Messages(),
		BytesReceived:    e.Received.Bytes(),
		BytesSent:        e.Sent.Bytes(),
	}
	if e.Code == tap.InvalidCode {
		s.Code = 0
	}
	if c.sampled != nil {
		c.side.in.spans.Close(c.sampled, span.Closed{
			Code:             s.Code,
			Initiator:        s.Initiator.String(),
			Duration:         s.Duration,
			MessagesReceived: s.MessagesReceived,
			MessagesSent:     s.MessagesSent,
			BytesReceived:    s.BytesReceived,
			BytesSent:        s.BytesSent,
		})
	}
	if c.summary == nil {
		return
	}
	s.Request = c.summary.get()
	ctx := context.WithoutCancel(s.Request.Context())
	for _, f := range c.side.in.config.onClose {
		callOnClose(ctx, f, s)
	}
}

// callOnClose calls f. A panic of f must not become a panic of the transport.
func callOnClose(ctx context.Context, f func(context.Context, Summary), s Summary) {
	defer func() {
		if r := recover(); r != nil {
			otel.Handle(fmt.Errorf("otelws: a function of WithOnClose panicked: %v", r))
		}
	}()
	f(ctx, s)
}
