package tap

import (
	"hash/maphash"
	"slices"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// ping is a ping that the peer has not answered. Of its payload a hash is kept, so
// that an entry is small.
type ping struct {
	payload uint64
	sent    clock.Instant
}

// pings are those in flight, the oldest first.
type pings struct{ list []ping }

// maxPings bounds the pings in flight that a connection remembers. For a new one the
// oldest but one is forgotten: the oldest is the next to be answered, however many
// are in flight.
const maxPings = 8

var pingSeed = maphash.MakeSeed()

func payloadHash(f *frame.Frame) uint64 {
	var buf [frame.MaxControlPayload]byte
	return maphash.Bytes(pingSeed, f.AppendPayload(buf[:0]))
}

// pinged takes note of a ping about to be written.
func (s *session) pinged(f *frame.Frame, at clock.Instant) {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pings == nil {
		v.pings = new(pings)
	}
	v.pings.add(ping{payload: payloadHash(f), sent: at})
}

// ponged records the round trip of the ping that a pong answers. A pong that
// answers none is no heartbeat.
func (s *session) ponged(f *frame.Frame) {
	at := clock.Now()
	payload := payloadHash(f)
	v := &s.verdict
	v.mu.Lock()
	sent, found := v.pings.take(payload)
	if found {
		if len(v.pings.list) == 0 {
			v.pings = nil // an idle connection's weight counts
		}
		v.answers++
		v.roundTrip = at - sent
	}
	v.mu.Unlock()
	if found {
		s.conn.recorder.RoundTrip(at - sent)
	}
}

// add remembers p. Of several with one payload that are in flight together, the
// first is kept.
func (all *pings) add(p ping) {
	for _, q := range all.list {
		if q.payload == p.payload {
			return
		}
	}
	if len(all.list) == maxPings {
		all.list = slices.Delete(all.list, 1, 2)
	}
	all.list = append(all.list, p)
}

// take returns when the ping with a payload was sent, and forgets it and those
// before it: a peer may answer the latest alone (RFC 6455 section 5.5.3).
func (all *pings) take(payload uint64) (sent clock.Instant, ok bool) {
	if all == nil {
		return 0, false
	}
	for i, q := range all.list {
		if q.payload == payload {
			all.list = all.list[:copy(all.list, all.list[i+1:])]
			return q.sent, true
		}
	}
	return 0, false
}
