package tap

import (
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
)

// Passed counts the traffic of one direction since the handshake: complete messages, and bytes on
// the wire.
type Passed struct {
	// word has the number of messages and, in its low bits, the number of Reads in progress. So one
	// operation records the end of a Read and its message.
	word  atomic.Uint64
	bytes atomic.Int64
	last  atomic.Int64 // the instant of the last bytes, or 0
}

// The Reads of a transport wait for each other. Thousands of concurrent Reads are a bug of the
// application.
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

// end counts the end of a Read, and the messages of that Read.
func (p *Passed) end(messages uint64) { p.word.Add(messages<<messageShift - 1) }

// reading reports whether a Read is in progress.
func (p *Passed) reading() bool { return p.word.Load()&readsMask != 0 }

// lastResolution is how old last may be. Most messages come shortly after another one, and do not
// update it.
const lastResolution = 10 * time.Millisecond

// at records that bytes have passed.
func (p *Passed) at(now clock.Instant) {
	if now-clock.Instant(p.last.Load()) >= lastResolution {
		p.last.Store(int64(now))
	}
}
