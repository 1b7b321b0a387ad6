package otelws

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/socket"
	"github.com/otelws/otelws-go/otelws/internal/wheel"
)

// WithTCPMetrics has the kernel asked about the TCP connections beneath the
// WebSockets, with or without TLS between. It adds
//
//   - ws.tcp.rtt.min, a histogram of the least round trip of segments of each
//     connection, recorded every five minutes and at its end: the distance to the
//     peer, which no queue adds to;
//   - ws.tcp.retransmits, a counter of the segments that were sent again, brought up
//     to date as often. Loss is not the only reason: probes of a peer that does not
//     read count as well, so that they are no measure of the network's alone;
//   - ws.tcp.unsent, the bytes that were written and have not been sent, of all open
//     connections together, at the time of a collection. It is what slow readers, or
//     slow ways to them, hold back, while they do.
//
// A question takes the kernel two or three microseconds, and none is asked per
// message; a collection asks one for each open connection. On other systems than
// Linux the option does nothing.
func WithTCPMetrics() Option {
	return optionFunc(func(c *config) { c.tcp = socket.Asked })
}

// tcpEvery is the time from one question about a connection to the next, which
// varies by a tenth, as in gRPC's proposal A80.
const tcpEvery = 5 * time.Minute

// tcpSamples asks the kernel about a connection now and then, and at its end.
type tcpSamples struct {
	wheel.Entry
	conn  *connection
	wheel *wheel.Wheel

	mu          sync.Mutex
	retransmits uint32 // that are counted
	last        bool   // nothing more is asked
}

func newTCPSamples(c *connection) *tcpSamples {
	return &tcpSamples{conn: c, wheel: c.side.in.wheels.of(&heartbeatConfig{every: tcpEvery, timeout: tcpEvery})}
}

// begin has c asked about for the first time at any time, so that connections that
// opened together are not asked together.
func (s *tcpSamples) begin() { s.wheel.After(tcpEvery/10+rand.N(tcpEvery), s) }

// Fire is called when it is time to ask.
func (s *tcpSamples) Fire() {
	go func() {
		if s.sample(false) {
			s.wheel.After(jitter(tcpEvery), s)
		}
	}()
}

// end asks for the last time, where the socket is still open.
func (s *tcpSamples) end() {
	s.wheel.Stop(s)
	s.sample(true)
}

// sample says whether another one may follow.
func (s *tcpSamples) sample(last bool) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last {
		return false
	}
	s.last = last
	t, ok := s.conn.TCP()
	if !ok {
		return true
	}
	side := s.conn.side
	side.tcp.retransmits.Add(int64(t.Retransmits - s.retransmits))
	s.retransmits = t.Retransmits
	if t.MinRTT > 0 {
		side.instruments.tcpMinRTT.Record(s.conn.context(), t.MinRTT.Seconds())
	}
	return true
}

// unsent asks about all open connections of the side, for all who collect within a
// second.
func (s *side) unsent() (sum int64) {
	u := &s.tcp.unsent
	u.mu.Lock()
	defer u.mu.Unlock()
	if at := clock.Now(); u.at == 0 || at-u.at >= time.Second {
		for c := range s.in.table.All {
			if c.side == s {
				t, _ := c.TCP()
				sum += int64(t.Unsent)
			}
		}
		u.at, u.sum = at, sum
	}
	return u.sum
}

type unsentBytes struct {
	mu  sync.Mutex
	at  clock.Instant
	sum int64
}

// tcpCounts are what a side counts by the option.
type tcpCounts struct {
	retransmits atomic.Int64
	unsent      unsentBytes
}
