package tap

import (
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
)

// Passed is what has passed in one direction since the handshake: messages that
// passed whole, and bytes on the wire.
type Passed struct {
	// word is the number of messages and, below it, of Reads in progress: the end of
	// a Read and the message that it read are one operation.
	word  atomic.Uint64
	bytes atomic.Int64
	last  atomic.Int64 // the instant of the last bytes, 0 before them
}

// A transport's Reads wait for one another: thousands of them are in progress where
// something is wrong with the application.
const (
	messageShift = 16
	readsMask    = 1<<messageShift - 1
)

// Messages returns the number of messages.
func (p *Passed) Messages() int64 { return int64(p.word.Load() >> messageShift) }

// Bytes returns the number of bytes.
func (p *Passed) Bytes() int64 { return p.bytes.Load() }

// message counts a message.
func (p *Passed) message() { p.word.Add(1 << messageShift) }

// begin counts a Read in progress.
func (p *Passed) begin() { p.word.Add(1) }

// end counts the end of a Read, and messages that it read.
func (p *Passed) end(messages uint64) { p.word.Add(messages<<messageShift - 1) }

// reading says whether a Read is in progress.
func (p *Passed) reading() bool { return p.word.Load()&readsMask != 0 }

// lastResolution is how far last may be behind: most messages come shortly after
// another one, and need not be noted.
const lastResolution = 10 * time.Millisecond

// at takes note that bytes have passed.
func (p *Passed) at(now clock.Instant) {
	if now-clock.Instant(p.last.Load()) >= lastResolution {
		p.last.Store(int64(now))
	}
}
