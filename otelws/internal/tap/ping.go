package tap

import (
	"hash/maphash"
	"slices"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// ping is an unanswered ping. It has a hash of the payload, so that it is small.
type ping struct {
	payload uint64
	sent    clock.Instant
}

// pings are the unanswered pings, the oldest first.
type pings struct{ list []ping }

// maxPings limits the number of pings that a connection remembers. If there are more, the second
// oldest is forgotten. The oldest is kept, because it is the next to be answered.
const maxPings = 8

var pingSeed = maphash.MakeSeed()

func payloadHash(f *frame.Frame) uint64 {
	var buf [frame.MaxControlPayload]byte
	return maphash.Bytes(pingSeed, f.AppendPayload(buf[:0]))
}

// pinged records a ping that will be written.
func (s *session) pinged(f *frame.Frame, at clock.Instant) {
	v := &s.verdict
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pings == nil {
		v.pings = new(pings)
	}
	v.pings.add(ping{payload: payloadHash(f), sent: at})
}

// ponged records the round-trip time of the ping that a pong answers. A pong that answers no ping
// is not a heartbeat.
func (s *session) ponged(f *frame.Frame) {
	at := clock.Now()
	payload := payloadHash(f)
	v := &s.verdict
	v.mu.Lock()
	sent, found := v.pings.take(payload)
	if found {
		if len(v.pings.list) == 0 {
			v.pings = nil // to save memory in idle connections
		}
		v.answers++
		v.roundTrip = at - sent
	}
	v.mu.Unlock()
	if found {
		s.conn.recorder.RoundTrip(at - sent)
	}
}

// add remembers p. If several unanswered pings have the same payload, only the first is kept.
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

// take returns the time of the ping with a payload. It forgets this ping and all earlier ones,
// because a peer may answer only the latest ping (RFC 6455 section 5.5.3).
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
