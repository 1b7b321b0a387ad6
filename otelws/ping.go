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

// pings are those in flight, the oldest first.
type pings struct{ list []ping }

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
	if l.pings == nil {
		l.pings = new(pings)
	}
	all := l.pings.list
	for _, q := range all {
		if q.payload == p.payload {
			return
		}
	}
	if len(all) == maxPings {
		all = all[:copy(all, all[1:])]
	}
	l.pings.list = append(all, p)
}

// ponged records the round trip of the ping that a pong answers. The pings
// before that one are done with: a peer may answer the latest alone (RFC 6455
// section 5.5.3). A pong that answers none is no heartbeat.
func (c *conn) ponged(f *frame.Frame) {
	at := now()
	payload := payloadHash(f)
	l := &c.life
	l.mu.Lock()
	sent, found := l.pings.take(payload)
	if found {
		l.pongs++
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

// take returns when the ping with a payload was sent, and forgets it and those
// before it.
func (p *pings) take(payload uint64) (sent instant, ok bool) {
	if p == nil {
		return 0, false
	}
	for i, q := range p.list {
		if q.payload == payload {
			p.list = p.list[:copy(p.list, p.list[i+1:])]
			return q.sent, true
		}
	}
	return 0, false
}
