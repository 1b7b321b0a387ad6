package tap

import (
	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// received records b, which came from the peer. messages is the number of messages that Passed.end
// must count.
func (s *session) received(b []byte) (messages uint64) {
	if size := s.inbound.single(b); size >= 0 {
		s.countSingle(count.Receive, s.shard.Singles(count.Receive, opcodeOf(b)), size, b)
		s.inbound.passed.at(clock.Coarse())
		return 1
	}
	if len(b) == 0 {
		return 0
	}
	s.inbound.mu.Lock()
	defer s.inbound.mu.Unlock()
	s.readInbound(b)
	return 0
}

// readInbound reads the frames of b. The caller holds the lock.
func (s *session) readInbound(b []byte) {
	s.countBytes(count.Receive, len(b))
	for len(b) > 0 {
		f, n, ok, err := s.inbound.parser.Next(b)
		if !ok {
			s.protocolError(err)
			break
		}
		b = b[n:]
		s.receivedFrame(&f)
	}
	s.inbound.passed.at(clock.Coarse())
	s.inbound.update()
}

func (s *session) receivedFrame(f *frame.Frame) {
	s.countFrame(count.Receive, eventOf(f, 0))
	if f.Opcode >= frame.Close {
		s.controls.Add(1)
	}
	switch f.Opcode {
	case frame.Pong:
		s.ponged(f)
	case frame.Close:
		s.closeFrame(f, Peer)
	}
	s.inbound.passed.at(clock.Coarse()) // this includes a close frame, but comes after the events before it
}
