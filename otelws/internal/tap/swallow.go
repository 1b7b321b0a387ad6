package tap

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// swallower hides the pongs that answer the tap's pings from the library, whose handlers may not
// expect them. It holds back the beginning of a frame that may be such a pong, and nothing else.
type swallower struct {
	pinged, ponged atomic.Uint32 // the numbers of the last ping, and of the last answered ping
	reading        atomic.Pointer[swallowing]
}

// swallowing is the state of a swallower that waits for an answer.
type swallowing struct {
	mu      sync.Mutex // held by a Read that swallows
	held    []byte     // the beginning of a frame
	pending []byte     // bytes that were read but had no room in the caller's buffer
	err     error      // comes after pending
}

// swallows reports whether a Read may meet a pong for the tap.
func (w *swallower) swallows() bool {
	return w.pinged.Load() != w.ponged.Load() || w.reading.Load() != nil
}

// lock locks and returns the state for a Read that swallows.
func (w *swallower) lock() *swallowing {
	for {
		r := w.reading.Load()
		if r == nil {
			w.reading.CompareAndSwap(nil, new(swallowing))
			continue
		}
		r.mu.Lock()
		if r == w.reading.Load() {
			return r
		}
		r.mu.Unlock()
	}
}

// unlock reverses lock.
func (w *swallower) unlock(r *swallowing) {
	if len(r.held) == 0 && len(r.pending) == 0 && r.err == nil && w.pinged.Load() == w.ponged.Load() {
		w.reading.Store(nil)
	}
	r.mu.Unlock()
}

// The payload of the tap's ping is a nonce, and the number of the ping.
const (
	nonceSize   = 8
	pingPayload = nonceSize + 4
)

// nonce returns the nonce of the pings of one connection. It differs between connections, because a
// proxy in the same process passes on the pings of another tap, and their pongs.
func (w *swallower) nonce() (b [nonceSize]byte) {
	binary.BigEndian.PutUint64(b[:], maphash.Comparable(pingSeed, w))
	return b
}

// nextPing returns the payload of the next ping, whose pong is swallowed.
func (w *swallower) nextPing() []byte {
	nonce := w.nonce()
	payload := append(make([]byte, 0, pingPayload), nonce[:]...)
	return binary.BigEndian.AppendUint32(payload, w.pinged.Add(1))
}

// readSwallowing is Read while a pong for the tap may arrive. p is not empty.
func (s *session) readSwallowing(sp *speaker, p []byte) (int, error) {
	r := sp.lock()
	defer sp.unlock(r)
	for {
		if len(r.pending) > 0 || r.err != nil {
			return r.passOn(p)
		}
		var small [2 * heldSize]byte
		buf, before := p, len(r.held)
		if len(p) <= before {
			buf = small[:]
		}
		copy(buf, r.held)
		s.conn.readBegins()
		n, err := s.conn.transport.Read(buf[before:])
		if !isCount(n, buf[before:]) {
			return n, s.conn.readBroken(err)
		}
		keep := s.swallow(sp, r, buf[:before+n], before)
		s.conn.readDone(0, err)
		switch {
		case err != nil && !isTimeout(err): // the bytes that were held back come first
			r.pending, r.held, r.err = append(bytes.Clone(buf[:keep]), r.held...), nil, err
			continue
		case len(p) < keep:
			r.pending, r.err = bytes.Clone(buf[:keep]), err
			continue
		case len(p) <= before:
			copy(p, buf[:keep])
		}
		if keep > 0 || n == 0 || err != nil {
			return keep, err
		}
	}
}

// passOn passes the pending bytes on, and then the error.
func (r *swallowing) passOn(p []byte) (n int, err error) {
	if len(r.pending) == 0 {
		err, r.err = r.err, nil
		return 0, err
	}
	n = copy(p, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

// heldSize is the size of a pong that answers the tap's ping.
const heldSize = 2 + 4 + pingPayload

// swallow reads the frames of b. Its first bytes were held back, and have been read before. It
// removes the pongs that answer the tap's pings, and returns the length of the rest.
func (s *session) swallow(sp *speaker, r *swallowing, b []byte, before int) (keep int) {
	r.held = nil
	omitted := s.findPongs(sp, b, before)
	at := 0
	for _, o := range omitted {
		keep += copy(b[keep:], b[at:o.begin])
		at = o.end
		if !o.whole {
			r.held = bytes.Clone(b[o.begin:o.end])
		}
	}
	return keep + copy(b[keep:], b[at:])
}

// omission is a part of the bytes that is not passed on: a pong, or possibly the beginning of one.
type omission struct {
	begin, end int
	whole      bool
}

func (s *session) findPongs(sp *speaker, b []byte, before int) (omitted []omission) {
	defer s.conn.contain()
	in := &s.inbound
	in.mu.Lock()
	defer in.mu.Unlock()
	defer in.update()
	defer func() { in.passed.at(clock.Coarse()) }()
	s.countBytes(count.Receive, len(b)-before)
	begin := 0 // index of the current frame, or -1 if its beginning was passed on
	if before == 0 && !in.parser.BetweenFrames() {
		begin = -1
	}
	for at := before; at < len(b); {
		f, n, ok, err := in.parser.Next(b[at:])
		at += n
		if !ok {
			s.protocolError(err)
			break
		}
		s.receivedFrame(&f)
		if number, ours := sp.isAnswer(&f); ours && begin >= 0 {
			omitted = append(omitted, omission{begin, at, true})
			sp.ponged.Store(number)
		}
		begin = at
	}
	if begin >= 0 && begin < len(b) && sp.mayBeAnswer(b[begin:], s.conn.accepted) {
		omitted = append(omitted, omission{begin, len(b), false})
	}
	return omitted
}

// isAnswer reports whether f answers a ping of the tap, and which one.
func (w *swallower) isAnswer(f *frame.Frame) (number uint32, ok bool) {
	if f.Opcode != frame.Pong {
		return 0, false
	}
	var buf [frame.MaxControlPayload]byte
	payload, nonce := f.AppendPayload(buf[:0]), w.nonce()
	if len(payload) != pingPayload || !bytes.HasPrefix(payload, nonce[:]) {
		return 0, false
	}
	return binary.BigEndian.Uint32(payload[nonceSize:]), true
}

// mayBeAnswer reports whether b may be the beginning of a pong that answers a ping of the tap.
func (w *swallower) mayBeAnswer(b []byte, masked bool) bool {
	want := []byte{0x80 | byte(frame.Pong), byte(pingPayload)}
	if masked {
		want[1] |= 0x80
	}
	if n := min(len(b), len(want)); !bytes.Equal(b[:n], want[:n]) {
		return false
	}
	b = b[min(len(b), len(want)):]
	var key [4]byte
	if masked {
		b = b[copy(key[:], b):]
	}
	nonce := w.nonce()
	for i, c := range b {
		if i < nonceSize && c^key[i&3] != nonce[i] {
			return false
		}
	}
	return len(b) < pingPayload
}
