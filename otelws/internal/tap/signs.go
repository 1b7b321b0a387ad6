package tap

import (
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/socket"
)

// Signs are the signs of life of a connection so far.
type Signs struct {
	Open    bool   // the connection has opened and has not ended
	Pings   uint32 // pings of the tap that have been written
	Answers uint32 // pongs that answered a ping
	Frames  int64  // messages and control frames received
	Bytes   int64  // bytes that this side has read
	Parts   int64  // bytes written in parts
	Failed  uint32 // Reads that returned an error, including exceeded deadlines
	Reading bool   // a Read is in progress

	Writing time.Duration // average time of the Writes in progress so far, or 0
	Held    bool          // a frame of the tap is being written
	Deaf    bool          // no pong can be seen any more

	// The kernel's values, if HasKernel is true.
	Kernel    socket.Progress
	HasKernel bool
}

// Signs returns the signs of life of the connection.
func (c *Conn) Signs() (g Signs) {
	defer c.contain()
	s := c.session.Load()
	if s == nil {
		return g
	}
	v := &s.verdict
	v.mu.Lock()
	g.Open, g.Answers = !v.ended, v.answers
	v.mu.Unlock()
	if sp := s.speaker.Load(); sp != nil {
		g.Pings = sp.written.Load()
	}
	g.Frames = s.inbound.passed.Messages() + int64(s.controls.Load())
	g.Bytes = s.inbound.passed.Bytes()
	g.Parts = s.parts.Load()
	g.Failed, g.Reading = s.failed.Load(), c.Reading()
	w := s.writing.Load()
	g.Writing, g.Held, g.Deaf = w.Average(clock.Now()), w.Has(count.FlagHeld), s.deaf()
	g.Kernel, g.HasKernel = socket.ProgressOf(c.kernel())
	if !g.HasKernel && g.Open {
		s.flags.set(inParts)
	}
	return g
}

// The least progress that is a sign of life. A byte for each heartbeat is not enough.
const (
	leastRate  = 64 // bytes a second
	leastBytes = 2
)

// AliveSince reports whether the peer has shown life in the time d since before. At that time, a
// ping was due, which the peer has not answered. before.Kernel.Written is the value after the ping.
// A peer that cannot send, because this side does not read, counts as alive.
func (g Signs) AliveSince(before Signs, d time.Duration) bool {
	least := int64(max(leastRate*d.Seconds(), leastBytes))
	if g.Frames != before.Frames || g.Bytes-before.Bytes >= least || g.Parts-before.Parts >= least {
		return true
	}
	sent := g.Pings != before.Pings && !g.Deaf
	reads := g.Reading || g.Bytes != before.Bytes || g.Failed != before.Failed
	if !g.HasKernel || !before.HasKernel {
		if sent {
			return !reads // without a Read, the answer stays unread
		}
		return !g.Held && g.Writing < d // this side holds the ping back: half a frame, or CloseWrite
	}
	received := int64(g.Kernel.Received - before.Kernel.Received)
	if received >= least || !reads && (received > 0 || g.Kernel.Full) {
		return true
	}
	gotOn := int64(g.Kernel.Acked-before.Kernel.Acked) >= least
	if !sent { // because of the bytes before it
		return gotOn || g.Kernel.Acked == g.Kernel.Written
	}
	// After the ping has arrived, progress of later bytes does not count.
	return gotOn && g.Kernel.Acked < before.Kernel.Written
}

// deaf reports whether the frames of the peer are not read any more, although it may still send some:
// after a violation of the protocol that the library tolerates, or after a fault.
func (s *session) deaf() bool {
	s.inbound.mu.Lock()
	stopped := s.inbound.parser.Stopped()
	s.inbound.mu.Unlock()
	return stopped && !s.answered()
}

// kernel returns the access to the socket.
func (c *Conn) kernel() any {
	if nc := c.socket(); nc != nil {
		return nc
	}
	return c.transport
}
