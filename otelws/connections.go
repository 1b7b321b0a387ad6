package otelws

import (
	"iter"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Connections returns an iterator over the open connections, in no particular order. It does not
// block traffic. A connection that opens or ends during the iteration may or may not be included.
// As long as a Connection is referenced, it keeps the buffers of its transport in memory.
func (i *Instrumentation) Connections() iter.Seq[Connection] {
	return func(yield func(Connection) bool) {
		for c := range i.table.All {
			if live, ok := c.look(); ok && !yield(live) {
				return
			}
		}
	}
}

func (c *connection) look() (Connection, bool) {
	st, ok := c.Status()
	if !ok {
		return Connection{}, false
	}
	live := c.identify()
	live.Opened, live.Age, live.Idle = clock.Time(st.Opened), st.Age, st.Idle
	live.MessagesReceived, live.BytesReceived = st.Received.Messages(), st.Received.Bytes()
	live.MessagesSent, live.BytesSent = st.Sent.Messages(), st.Sent.Bytes()
	live.RTT, live.PingUnanswered, live.Writing = st.RoundTrip, st.Unanswered, st.Writing
	switch {
	case st.CloseSent && st.CloseReceived:
		live.State = StateClosing
	case st.CloseSent:
		live.State = StateCloseSent
	case st.CloseReceived:
		live.State = StateCloseReceived
	}
	live.tap = &c.Conn
	return live, true
}

// identify returns a Connection with the fields that identify c.
func (c *connection) identify() Connection {
	id := Connection{
		ID:          c.ID(),
		Client:      c.side.role == client,
		RemoteAddr:  c.RemoteAddr(),
		Subprotocol: c.subprotocol,
		attrs:       c.combination.attrs,
	}
	if c.sampled != nil {
		id.TraceID = trace.SpanContextFromContext(c.sampled).TraceID()
	}
	return id
}

// Ended returns the last 256 connections that ended, the latest first. Their Idle is the time
// without a byte before the end, or before the close frame that led to it.
func (i *Instrumentation) Ended() []EndedConnection { return i.ended.Newest() }

// ended returns a snapshot of c that does not keep c in memory.
func (c *connection) ended(e tap.End) EndedConnection {
	r := EndedConnection{Connection: c.identify(), Ended: time.Now(), Code: e.Code, Initiator: Initiator(e.Initiator), Reason: e.Reason}
	if e.Code == tap.InvalidCode {
		r.Code = 0
	}
	r.Age, r.Idle, r.Opened = e.Duration, e.Silence, r.Ended.Add(-e.Duration)
	r.MessagesReceived, r.BytesReceived = e.Received.Messages(), e.Received.Bytes()
	r.MessagesSent, r.BytesSent = e.Sent.Messages(), e.Sent.Bytes()
	r.State = StateEnded
	return r
}
