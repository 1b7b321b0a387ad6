package otelws

import (
	"iter"
	"net"
	"slices"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Connection is an open connection, as it was when [Instrumentation.Connections]
// came to it.
type Connection struct {
	// ID counts the connections of the Instrumentation from 1, in the order in which
	// they opened.
	ID uint64
	// Client is true for a dialed connection.
	Client bool
	// RemoteAddr is the address of the peer, or of the proxy before it. It is nil
	// where the transport has none.
	RemoteAddr net.Addr
	// Subprotocol is that of the response to the handshake.
	Subprotocol string
	Opened      time.Time
	Age         time.Duration
	// Idle is how long no bytes have passed in either direction.
	Idle time.Duration
	// Messages are those that passed whole. Bytes are those of the
	// transport since the handshake, frame headers included.
	MessagesReceived, MessagesSent int64
	BytesReceived, BytesSent       int64
	// RTT is the round trip of the last ping that was answered, whoever sent it.
	RTT time.Duration
	// PingUnanswered is how long the oldest ping without an answer has been under
	// way.
	PingUnanswered time.Duration
	// Writing is how long a write to the transport has been in progress, on average
	// where there are several.
	Writing time.Duration
	State   State
	// TraceID is the trace of the handshake, where that is sampled.
	TraceID trace.TraceID

	attrs []attribute.KeyValue
	tap   *tap.Conn
}

// Attributes returns the attributes of the application that the connection is
// counted under.
func (c Connection) Attributes() []attribute.KeyValue { return slices.Clone(c.attrs) }

// TCP asks the kernel about the connection, which takes some two microseconds. ok is
// false where it cannot be asked: another system than Linux, another transport than
// TCP with or without TLS, a connection that has ended.
func (c Connection) TCP() (info TCP, ok bool) {
	if c.tap == nil {
		return info, false
	}
	t, ok := c.tap.TCP()
	return TCP(t), ok
}

// TCP is what the kernel knows of a connection.
type TCP struct {
	// RTT is the smoothed round trip of segments, MinRTT the least one. Where this
	// side sends little, they are old.
	RTT, MinRTT time.Duration
	// Retransmits are the segments that were sent again so far. Loss is not the only
	// reason: a peer that does not read makes for probes, which count.
	Retransmits uint32
	// Unacked are the segments under way.
	Unacked uint32
	// Unsent are the bytes that were written and have not left: the peer, or the way
	// to it, is slower than this side writes.
	Unsent uint32
	// Acked are the bytes that the kernel of the peer has taken.
	Acked uint64
	// PeerWindow is how many bytes the peer has room for.
	PeerWindow uint32
	// LastReceived is how long ago the kernel received data.
	LastReceived time.Duration
}

// State is how far the close handshake of a connection has come.
type State uint8

const (
	// StateOpen is a connection on which no close frame has passed.
	StateOpen State = iota
	// StateCloseSent is a connection on which this side has sent a close frame.
	StateCloseSent
	// StateCloseReceived is a connection on which the peer has sent a close frame.
	StateCloseReceived
	// StateClosing is a connection on which both have, while the transport is open.
	StateClosing
	// StateEnded is that of an [EndedConnection].
	StateEnded
)

var states = [...]string{
	StateOpen:          "open",
	StateCloseSent:     "close_sent",
	StateCloseReceived: "close_received",
	StateClosing:       "closing",
	StateEnded:         "ended",
}

// String returns the name of the state: open, close_sent, close_received,
// closing or ended.
func (s State) String() string {
	if int(s) < len(states) {
		return states[s]
	}
	return OtherValue
}

// Connections yields the open connections, in no order. It stops no traffic: a
// connection that opens or ends meanwhile may or may not be among them. A Connection
// that is kept keeps the buffers of its transport in memory.
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

// identify returns what says which connection c is.
func (c *connection) identify() Connection {
	id := Connection{
		ID:          c.ID(),
		Client:      c.side.role == client,
		RemoteAddr:  c.RemoteAddr(),
		Subprotocol: c.subprotocol,
		attrs:       c.in.attrs,
	}
	if c.sampled != nil {
		id.TraceID = trace.SpanContextFromContext(c.sampled).TraceID()
	}
	return id
}

// EndedConnection is a connection that has ended, as it was at its end.
type EndedConnection struct {
	Connection
	Ended time.Time
	// Code, Initiator and Reason are as in [Summary].
	Code      websocket.StatusCode
	Initiator Initiator
	Reason    string
}

// Ended returns the last 256 connections that have ended, the last one first. Idle
// is how long no bytes had passed before the end, or before the close frame that
// made it.
func (i *Instrumentation) Ended() []EndedConnection { return i.ended.Newest() }

// ended returns c as it is to be remembered, without what would keep it in memory.
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
