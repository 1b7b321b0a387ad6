package probe

import (
	"errors"
	"io"
	"syscall"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// Sign is how a connection ended.
type Sign string

// The signs of an end.
const (
	Open    Sign = ""        // still open at the end of the run
	FIN     Sign = "fin"     // TCP was closed without a close frame
	RST     Sign = "rst"     // TCP was reset
	Close   Sign = "close"   // the server sent a close frame
	Nothing Sign = "nothing" // no answer to the last ping
	Refused Sign = "refused" // the handshake failed
	Other   Sign = "other"   // another error
)

// Outcome is the result of one connection. Times are in seconds.
type Outcome struct {
	Kind    Kind    `json:"kind"`
	Planned float64 `json:"planned_silence_seconds,omitempty"` // for Silent
	Start   float64 `json:"start_seconds"`                     // since the start of the run
	Age     float64 `json:"age_seconds"`                       // when it ended, or when the run closed it
	// Silence is the time without any byte before the end, or before the last ping.
	Silence float64 `json:"silence_seconds"`
	// Outlived is the longest silence after which the server sent something again.
	Outlived float64 `json:"outlived_silence_seconds"`
	End      Sign    `json:"end"`
	Code     int     `json:"code,omitempty"`   // from the close frame
	Reason   string  `json:"reason,omitempty"` // from the close frame
	Error    string  `json:"error,omitempty"`
	// Asked is true if the connection ended after the ping that tests whether it is
	// still open.
	Asked    bool `json:"asked"`
	Messages int  `json:"messages_received"`
	Unasked  int  `json:"unasked"` // number of times that the server sent data on a silent connection
	Mute     bool `json:"mute"`    // the first ping got no answer

	twin, cut bool  // cut: the end of the connection shows no limit
	refusal   error // of a failed handshake
}

// open reports whether the connection was still open.
func (o *Outcome) open() bool { return o.End == Open }

// died reports whether the connection ended, or did not answer any more.
func (o *Outcome) died() bool { return o.End != Open && o.End != Refused && !o.cut }

// ended sets the sign of a connection. err is the error of its Read, and lower is the
// error of its transport.
func (o *Outcome) ended(err, lower error) {
	var frame websocket.CloseError
	switch {
	case errors.As(err, &frame):
		o.End, o.Code, o.Reason = Close, int(frame.Code), dial.OneLine(frame.Reason)
	case errors.Is(lower, syscall.ECONNRESET), errors.Is(lower, syscall.EPIPE):
		o.End = RST
	case errors.Is(lower, io.EOF), errors.Is(lower, io.ErrUnexpectedEOF):
		o.End = FIN
	default:
		o.End, o.Error = Other, dial.OneLine(err.Error())
	}
}
