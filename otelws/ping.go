package otelws

import (
	"hash/maphash"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// ping is a ping that the peer has not answered. Of its payload a hash is
// kept, so that an entry is small.
type ping struct {
	payload uint64
	sent    instant
}

// maxPings bounds the pings in flight that a connection remembers; the oldest
// is forgotten for a new one.
const maxPings = 8

var pingSeed = maphash.MakeSeed()

func payloadHash(f *frame.Frame) uint64 {
	var buf [frame.MaxControlPayload]byte
	return maphash.Bytes(pingSeed, f.AppendPayload(buf[:0]))
}

// pinged takes note of a ping about to be written. Of several with one payload
// that are in flight together, the first is kept.
func (c *conn) pinged(f *frame.Frame) {
	p := ping{payload: payloadHash(f), sent: now()}
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.pings {
		if q.payload == p.payload {
			return
		}
	}
	if len(l.pings) == maxPings {
		l.pings = l.pings[:copy(l.pings, l.pings[1:])]
	}
	l.pings = append(l.pings, p)
}

// ponged records the round trip of the ping that a pong answers. The pings
// before that one are done with: a peer may answer the latest alone (RFC 6455
// section 5.5.3). A pong that answers none is no heartbeat.
func (c *conn) ponged(f *frame.Frame) {
	at := now()
	payload := payloadHash(f)
	l := &c.life
	l.mu.Lock()
	var sent instant
	found := false
	for i, q := range l.pings {
		if q.payload == payload {
			sent, found = q.sent, true
			l.pongs++
			l.pings = l.pings[:copy(l.pings, l.pings[i+1:])]
			break
		}
	}
	l.mu.Unlock()
	if !found {
		return
	}
	c.side.instruments.rtt.Record(c.context(), (at - sent).Seconds(), c.set.heartbeat.record...)
}

func (c *conn) pingSent() {
	c.life.mu.Lock()
	c.life.pingsSent++
	c.life.mu.Unlock()
}
