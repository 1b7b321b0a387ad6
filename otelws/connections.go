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

// Connection is a snapshot of an open connection, from [Instrumentation.Connections].
type Connection struct {
	// ID is the number of the connection. An Instrumentation numbers its connections from 1, in the
	// order in which they open.
	ID uint64
	// Client is true for a dialed connection.
	Client bool
	// RemoteAddr is the address of the peer, or of the last proxy before this process. It is nil if
	// the transport has no address.
	RemoteAddr net.Addr
	// Subprotocol is the negotiated subprotocol, or empty.
	Subprotocol string
	// Opened is the end of the handshake, and Age the time since then.
	Opened time.Time
	Age    time.Duration
	// Idle is the time since the last byte in either direction.
	Idle time.Duration
	// These count whole messages, and all bytes of the transport after the handshake, including
	// frame headers.
	MessagesReceived, MessagesSent int64
	BytesReceived, BytesSent       int64
	// RTT is the round-trip time of the last ping that was answered, regardless of its sender. 0
	// means none.
	RTT time.Duration
	// PingUnanswered is the age of the oldest ping that is still unanswered. 0 means none.
	PingUnanswered time.Duration
	// Writing is how long the current write to the transport has taken so far. With several
	// concurrent writes, it is their average. 0 means none.
	Writing time.Duration
	// State is the state of the close handshake.
	State State
	// TraceID is the trace of the handshake, if it is sampled.
	TraceID trace.TraceID

	attrs []attribute.KeyValue
	tap   *tap.Conn
}

// Attributes returns the application's attributes of the connection.
func (c Connection) Attributes() []attribute.KeyValue { return slices.Clone(c.attrs) }

// TCP asks the kernel for the state of the TCP connection. This takes about two microseconds. ok is
// false if the kernel cannot be asked: on systems other than Linux, for transports other than TCP
// (with or without TLS), and after the connection has ended.
func (c Connection) TCP() (info TCP, ok bool) {
	if c.tap == nil {
		return info, false
	}
	t, ok := c.tap.TCP()
	return TCP(t), ok
}

// TCP is the kernel's state of a TCP connection.
type TCP struct {
	// RTT is the smoothed round-trip time of segments, and MinRTT the smallest one. If this side
	// sends little, the values are old.
	RTT, MinRTT time.Duration
	// Retransmits is the number of retransmitted segments. It includes probes to a peer that does
	// not read, so it is not only a measure of loss.
	Retransmits uint32
	// Unacked is the number of segments that are not yet acknowledged.
	Unacked uint32
	// Unsent is the number of bytes that were written and not yet sent. It grows if the peer, or
	// the network, is slower than this side's writes.
	Unsent uint32
	// Acked is the number of bytes that the peer's kernel has acknowledged.
	Acked uint64
	// PeerWindow is the number of bytes that the peer can still accept.
	PeerWindow uint32
	// LastReceived is the time since the kernel last received data.
	LastReceived time.Duration
	// PeerGone is true if the peer has closed or reset the connection. If the connection is still
	// open then, the application does not read, or has forgotten to close it.
	PeerGone bool
}

// State is the state of a connection's close handshake.
type State uint8

const (
	// StateOpen means that no close frame has been sent or received.
	StateOpen State = iota
	// StateCloseSent means that only this side has sent a close frame.
	StateCloseSent
	// StateCloseReceived means that only the peer has sent a close frame.
	StateCloseReceived
	// StateClosing means that both sides have sent a close frame, and the transport is still open.
	StateClosing
	// StateEnded is the state of every [EndedConnection].
	StateEnded
)

var states = [...]string{
	StateOpen:          "open",
	StateCloseSent:     "close_sent",
	StateCloseReceived: "close_received",
	StateClosing:       "closing",
	StateEnded:         "ended",
}

// String returns the name of the state: open, close_sent, close_received, closing or ended.
func (s State) String() string {
	if int(s) < len(states) {
		return states[s]
	}
	return OtherValue
}

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

// EndedConnection is a snapshot of a connection at its end, from [Instrumentation.Ended].
type EndedConnection struct {
	Connection
	// Ended is the time of the end. Age and Idle are the values at that time.
	Ended time.Time
	// See [Summary] for these fields.
	Code      websocket.StatusCode
	Initiator Initiator
	Reason    string
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
