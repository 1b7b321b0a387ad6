package tap

import (
	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// write is Write. If a frame of the tap is due, and a frame of p ends within p, as in the traffic
// of a proxy, it writes p in two parts.
func (s *session) write(p []byte) (int, error) {
	if s.writing.Load().Has(count.FlagWanted) {
		if end := s.firstFrameEnd(p); end > 0 && end < len(p) {
			n, err := s.writeOnce(p[:end])
			if err != nil || n != end {
				return n, err
			}
			n, err = s.writeOnce(p[end:])
			return end + n, err
		}
	}
	return s.writeOnce(p)
}

// writeOnce writes p with one Write of the transport.
func (s *session) writeOnce(p []byte) (n int, err error) {
	begun := clock.Now()
	word := s.writing.Begin(begun)
	defer s.endWrite(begun) // the transport may panic
	if word.Has(count.FlagHeld) {
		if n, err, done := s.waitForSpeaker(p); done {
			return n, err
		}
	}
	size := s.outbound.single(p)
	if size < 0 {
		return s.writeFrames(p, begun)
	}
	singles := s.shard.Singles(count.Transmit, opcodeOf(p))
	n, err = s.timedWrite(p, begun, singles)
	s.wroteSingle(singles, size, p, n, err)
	return n, err
}

// endWrite ends a Write that writing counts.
func (s *session) endWrite(begun clock.Instant) {
	if left := s.writing.End(begun); left.Has(count.FlagWanted) && left.Number() == 0 {
		s.speak(true)
	}
}

func (s *session) wroteSingle(singles *count.Singles, size int, p []byte, n int, err error) {
	defer s.conn.contain()
	if n == len(p) {
		s.countSingle(count.Transmit, singles, size, p)
		s.outbound.passed.message()
	} else {
		s.brokeOff(p, n)
	}
	if err != nil {
		s.writeFailed(err)
	}
}

// writeFrames is write for everything that is not a single message.
func (s *session) writeFrames(p []byte, begun clock.Instant) (int, error) {
	var ahead events
	s.readAheadLocked(p, begun, &ahead)
	n, err := s.timedWrite(p, begun, s.shard.Singles(count.Transmit, frame.Text))
	s.wroteFrames(p, n, err, &ahead)
	return n, err
}

func (s *session) wroteFrames(p []byte, n int, err error, ahead *events) {
	defer s.conn.contain()
	if n == len(p) {
		s.wrote(p, n, ahead)
	} else {
		s.outbound.mu.Lock()
		defer s.outbound.mu.Unlock()
		s.wrote(p, n, ahead)
		s.outbound.update()
	}
	if err != nil {
		s.writeFailed(err)
	}
}

// timedWrite writes p to the transport, and records the time.
func (s *session) timedWrite(p []byte, begun clock.Instant, singles *count.Singles) (n int, err error) {
	s.shard.BeginWrite(singles, begun)
	defer func() {
		at := clock.Now()
		s.shard.EndWrite(singles, begun, at)
		if n > 0 {
			s.outbound.passed.at(at)
		}
	}()
	if s.flags.has(inParts) {
		return s.writeInParts(p)
	}
	return s.conn.transport.Write(p)
}

// partSize is the size of the parts of a large write, on a transport that does not tell how much of
// it the peer has accepted.
const partSize = 64 << 10

func (s *session) writeInParts(p []byte) (n int, err error) {
	for {
		part := p[n:min(len(p), n+partSize)]
		k, err := s.conn.transport.Write(part)
		n += k
		s.parts.Add(int64(max(k, 0)))
		if err != nil || k != len(part) || n == len(p) {
			return n, err
		}
	}
}

// remember adds e to ahead. If ahead is full, its frames are counted before the Write has ended.
func (s *session) remember(ahead *events, e event) {
	switch {
	case ahead.many == nil && ahead.n == len(ahead.few):
		ahead.many = eventLists.Get().(*[512]event)
		copy(ahead.many[:], ahead.few[:])
	case ahead.many != nil && ahead.n == len(ahead.many):
		s.countEvents(ahead, e.end)
		ahead.n = 0
	}
	ahead.n++
	ahead.all()[ahead.n-1] = e
}

// readAheadLocked is like readAhead, for a Write that begins.
func (s *session) readAheadLocked(p []byte, begun clock.Instant, ahead *events) {
	defer s.conn.contain()
	s.outbound.mu.Lock()
	defer s.outbound.mu.Unlock()
	s.readAhead(p, begun, ahead)
	s.outbound.update()
}

// readAhead reads p, which will be written. It looks for pings and close frames, because the peer
// may answer them before the Write returns. ahead gets the frames that end in p.
func (s *session) readAhead(p []byte, begun clock.Instant, ahead *events) {
	for at := 0; at < len(p); {
		f, n, ok, err := s.outbound.parser.Next(p[at:])
		at += n
		if !ok {
			if err != frame.None {
				s.remember(ahead, event{end: len(p), err: err})
			}
			return
		}
		s.remember(ahead, eventOf(&f, at))
		switch f.Opcode {
		case frame.Ping:
			s.pinged(&f, begun)
		case frame.Close:
			s.closeFrame(&f, Local)
		}
	}
}

// wrote counts the first n bytes of p, in which the frames of ahead end. If a Write is short, its
// bytes are counted, and nothing more is read, because the rest may be written again or never. The
// caller then holds the lock.
func (s *session) wrote(p []byte, n int, ahead *events) {
	n = min(max(n, 0), len(p)) // a transport may violate the contract of io.Writer
	s.countBytes(count.Transmit, n)
	s.countEvents(ahead, n)
	if ahead.many != nil {
		eventLists.Put(ahead.many)
	}
	if n < len(p) {
		s.outbound.parser.Stop()
	}
}

// countEvents counts the events that end in the first n bytes.
func (s *session) countEvents(ahead *events, n int) {
	for _, e := range ahead.all() {
		if e.end > n {
			return
		}
		if e.err != frame.None {
			s.protocolError(e.err)
			return
		}
		s.countFrame(count.Transmit, e)
		if e.opcode == frame.Close {
			s.closeSent()
		}
	}
}

// brokeOff counts the first n bytes of p, which was one message.
func (s *session) brokeOff(p []byte, n int) {
	if n == 0 {
		return // the next Write begins at the same place
	}
	s.outbound.mu.Lock()
	defer s.outbound.mu.Unlock()
	s.wrote(p, n, new(events))
	s.outbound.update()
}
