package otelws

import (
	"net"
	"slices"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

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
