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

// WithTCPMetrics adds metrics that Linux keeps for TCP connections, with or without TLS. On other
// systems, the option does nothing. The instruments are:
//
//   - ws.tcp.rtt.min, a histogram of the minimum round-trip time of each connection. It is
//     recorded every five minutes, and at the end of a connection. It measures the distance to the
//     peer, without the effect of queues.
//   - ws.tcp.retransmits, a counter of retransmitted segments, updated at the same times. It
//     includes probes to peers that do not read, so it is not only a measure of the network.
//   - ws.tcp.unsent, the bytes that were written and not yet sent, summed over all open
//     connections at the time of a collection. It shows how much slow peers or slow networks hold
//     back.
//
// A question to the kernel takes two or three microseconds. In a collection, the tap asks once for
// each open connection. A message never causes a question.
func WithTCPMetrics() Option {
	return optionFunc(func(c *config) { c.tcp = socket.Asked })
}

// tcpEvery is the interval between two samples of a connection. It varies randomly by a tenth, as
// in gRPC's proposal A80.
const tcpEvery = 5 * time.Minute

// tcpSamples samples a connection's state in the kernel at intervals, and at its end.
type tcpSamples struct {
	wheel.Entry
	conn  *connection
	wheel *wheel.Wheel

	mu          sync.Mutex
	retransmits uint32 // already counted
	last        bool   // the last sample has been taken
}

func newTCPSamples(c *connection) *tcpSamples {
	return &tcpSamples{conn: c, wheel: c.side.in.wheels.For(tcpEvery)}
}

// begin schedules the first sample at a random time, so that connections that opened together are
// not sampled together.
func (s *tcpSamples) begin() { s.wheel.After(tcpEvery/10+rand.N(tcpEvery), s) }

// Fire implements [wheel.Timer]. It is called when a sample is due.
func (s *tcpSamples) Fire() {
	go func() {
		if s.sample(false) {
			s.wheel.After(jitter(tcpEvery), s)
		}
	}()
}

// end takes the last sample, if the socket is still open.
func (s *tcpSamples) end() {
	s.wheel.Stop(s)
	s.sample(true)
}

// sample takes a sample, and reports whether another one may follow.
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

// unsent returns the sum over all open connections of the side. Collections within one second share
// the result. Without connections, it is 0 at once, because leftBehind keeps it for good.
func (s *side) unsent() (sum int64) {
	if s.in.table.Len() == 0 {
		return 0
	}
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

// tcpCounts holds the counts of WithTCPMetrics for one side.
type tcpCounts struct {
	retransmits atomic.Int64
	unsent      unsentBytes
}
