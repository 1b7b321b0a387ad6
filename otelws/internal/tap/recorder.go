package tap

import (
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
	"github.com/otelws/otelws-go/otelws/internal/inspect"
)

// Recorder receives the events of one connection. The goroutines that read, write and close call
// its methods, in some cases while they hold locks of the Conn. Therefore the methods must not use
// the Conn, except for Begun.
type Recorder interface {
	// Opening is called with the header of the response that opens the connection. It returns the
	// places to count in. It may be slow, because no lock is held.
	Opening(response http.Header) Opening
	// Opened is called when that response has been written. Only Opening is called before it.
	Opened()
	// Begun is called after Opened, without a lock. It may use the Conn.
	Begun()
	// Refused is called instead if the handshake opens no connection. status is the status of the
	// response, or 0 if there was none.
	Refused(status int)

	// Message is called for each message, if Opening.Messages is true. kind is its index in
	// Opening.Kinds, or 0 without Kinds.
	Message(d count.Direction, size int64, kind int)
	// RoundTrip is called for each ping that was answered.
	RoundTrip(d time.Duration)
	// ProtocolError is called for each violation of RFC 6455.
	ProtocolError(frame.Error)
	// Leaving is called when the library closes a connection. If ok is true, the tap first sends a
	// close frame with code and reason.
	Leaving() (code websocket.StatusCode, reason string, ok bool)
	// Ended is called once for a connection that has opened, without a lock.
	Ended(End)

	// Fault is called once if the tap or the Recorder panicked with v. Afterwards the frames of the
	// connection are not read any more.
	Fault(v any)
}

// Opening is the configuration of a connection that opens.
type Opening struct {
	Shard    *count.Shard
	Messages bool // whether Recorder.Message is called
	Decode   bool // whether the sizes of compressed messages are decoded
	// Kinds reads the kinds of messages, and KindShard counts them. Both are nil if kinds are not
	// counted.
	Kinds     *inspect.Kinds
	KindShard *count.KindShard
	Payload   func([]byte) []byte // returns the part of a message that has the kind; nil if that is the whole message
	PeerLeft  bool                // whether the peer had left before the response went out
	// Closing, unless nil, is called each time before this side closes the transport. The transport
	// can still be queried then.
	Closing func()
}

// Initiator is the side that ended a connection.
type Initiator uint8

// The initiators.
const (
	Peer Initiator = iota
	Local
	Timeout
)

// End describes the end of a connection.
type End struct {
	// Code is the code of the first close frame in either direction. It is 1005 if that frame has
	// no code, InvalidCode if it has a code that must not be sent, and 1006 if there was no close
	// frame (RFC 6455 section 7.1.5).
	Code      websocket.StatusCode
	Reason    string
	Initiator Initiator
	Cause     error // the error of the transport; nil if this side closed it
	Duration  time.Duration
	// Silence is the time without a byte in either direction before the end, or before the close
	// frame that led to it.
	Silence time.Duration

	Received, Sent *Passed
}

// InvalidCode stands for a code, in a close frame, that must not be sent.
const InvalidCode websocket.StatusCode = -1
