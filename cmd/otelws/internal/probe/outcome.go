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
	Open    Sign = ""        // it was open at the end
	FIN     Sign = "fin"     // TCP was closed, without a close frame before
	RST     Sign = "rst"     // TCP was reset
	Close   Sign = "close"   // a close frame came
	Nothing Sign = "nothing" // nothing came any more, not a pong either
	Refused Sign = "refused" // the handshake failed
	Other   Sign = "other"   // another error
)

// Outcome is one connection of a run. Times are in seconds.
type Outcome struct {
	Kind    Kind    `json:"kind"`
	Planned float64 `json:"planned_silence_seconds,omitempty"` // of a silent one
	Start   float64 `json:"start_seconds"`                     // after the run's start
	Age     float64 `json:"age_seconds"`                       // at its end, or when it was left
	// Silence is how long nothing had passed when it ended, or when it was asked for a
	// last pong.
	Silence float64 `json:"silence_seconds"`
	// Outlived is the longest silence after which the server was heard again.
	Outlived float64 `json:"outlived_silence_seconds"`
	End      Sign    `json:"end"`
	Code     int     `json:"code,omitempty"`   // of the close frame
	Reason   string  `json:"reason,omitempty"` // of the close frame
	Error    string  `json:"error,omitempty"`
	// Asked says that it ended after a ping that was to show whether it was still open.
	Asked    bool `json:"asked"`
	Messages int  `json:"messages_received"`
	Unasked  int  `json:"unasked"` // times that the server sent on a silent connection
	Mute     bool `json:"mute"`    // the very first ping had no answer

	twin, cut bool // cut: the run was interrupted, or an event ended it
}

// open says that a connection had not ended.
func (o *Outcome) open() bool { return o.End == Open }

// died says that a connection ended, or was found dead.
func (o *Outcome) died() bool { return o.End != Open && o.End != Refused && !o.cut }

// ended has the sign of a connection whose Read returned err, and whose transport
// returned lower.
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
