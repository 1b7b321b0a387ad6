package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// slowWindow is the number of messages that a slow reader sends without waiting for echoes.
const slowWindow = 32

// session is one connection.
type session struct {
	*runner
	number     int64
	c          *websocket.Conn
	ctx        context.Context // for reads and writes
	over       context.Context // done when there is nothing more to send
	drop, slow bool
	random     *rand.Rand

	pending queue
	window  chan struct{} // has an element for each message without an echo; nil means no limit
	echoed  chan struct{} // signals an echo
	closing atomic.Bool   // from now on, the end of the connection is not an error
	broken  chan struct{}
	breaks  sync.Once
	code    string // close code of a broken connection
	failed  int    // writes that returned an error
	gaveUp  bool   // an echo did not come within the timeout
}

// open performs the handshake, and returns nil if it fails.
//
// It waits for the handshake even if the run is over. Otherwise the server could count a connection
// that this side does not count.
func (r *runner) open() *session {
	s := &session{runner: r, number: r.sessions.Add(1) - 1, broken: make(chan struct{}), echoed: make(chan struct{}, 1)}
	s.drop = picks(s.number, r.cfg.Drop, 0)
	s.slow = picks(s.number, r.cfg.Slow, 0.5)
	s.random = rand.New(rand.NewPCG(uint64(s.number), 3))
	if r.cfg.Echo && r.cfg.Rate == 0 {
		n := 1
		if s.slow {
			n = slowWindow
		}
		s.window = make(chan struct{}, n)
	}

	ctx, done := context.WithTimeout(context.Background(), r.cfg.Timeout)
	defer done()
	transport := r.transport
	if s.slow {
		transport = r.slowTransport
	}
	opts := dial.Options(transport, r.cfg.Header, r.cfg.Subprotocols)
	if r.cfg.Compression {
		opts.CompressionMode = websocket.CompressionNoContextTakeover
	}
	start := time.Now()
	c, resp, err := websocket.Dial(ctx, r.cfg.URL, opts)
	if err != nil {
		r.refused.Add(1)
		r.errors.add(dial.Handshake(resp, err), err, 1)
		return nil
	}
	r.handshakes.record(s.number, time.Since(start))
	r.opened.Add(1)
	if strings.Contains(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
		r.compressed.Add(1)
	}
	c.SetReadLimit(int64(max(r.cfg.Sizes.max(), 1<<20)))
	s.c = c
	return s
}

// live uses the connection until over is done, and then ends it.
func (s *session) live(over context.Context) {
	var cancel, stop context.CancelFunc
	s.ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	s.over, stop = context.WithCancel(over)
	defer stop()
	// Some time after the end, this cancels everything that hangs, including writes.
	defer context.AfterFunc(s.over, func() {
		pause(s.ctx, 2*s.cfg.Timeout)
		cancel()
	})()
	s.active.Add(1)
	defer s.active.Add(-1)

	var receiver, pinger sync.WaitGroup
	receiver.Go(s.receive)
	pinger.Go(s.ping)
	s.send()
	stop()
	s.finish()
	pinger.Wait()
	s.end()
	cancel()
	receiver.Wait()
	if n := s.pending.len() - s.failed; n > 0 {
		s.unanswered.Add(int64(n))
		s.errors.add("message: not echoed", nil, int64(n))
	}
}

// fail marks the connection as broken. Only the first error counts.
func (s *session) fail(err error) {
	s.breaks.Do(func() {
		if !s.closing.Load() {
			s.errors.add(connectionKind(err), err, 1)
		}
		s.code = "1006"
		if code := websocket.CloseStatus(err); code != -1 {
			s.code = foldCode(code)
		}
		close(s.broken)
	})
}

// failWrite marks the connection as broken by an error of Write. Before that error, the server may have
// sent a close frame that tells the reason. The receiver is about to read it.
func (s *session) failWrite(err error) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-s.broken:
	case <-t.C:
	}
	s.fail(err)
}

func (s *session) isBroken() bool {
	select {
	case <-s.broken:
		return true
	default:
		return false
	}
}

func (s *session) messageType() websocket.MessageType {
	if s.cfg.Binary {
		return websocket.MessageBinary
	}
	return websocket.MessageText
}

// send sends messages until over is done. With a rate, each message has a time at which it is due, and
// its round trip begins at that time. Thus a delay of one message also shows in the messages behind
// it.
func (s *session) send() {
	var due time.Time
	var period time.Duration
	timer := time.NewTimer(0)
	defer timer.Stop()
	if s.cfg.Rate > 0 {
		period = time.Duration(float64(time.Second) / s.cfg.Rate)
		due = time.Now().Add(time.Duration(s.random.Int64N(int64(period) + 1)))
	}
	for {
		if !s.wait(timer, due) || !s.take() {
			return
		}
		at := due
		if period == 0 {
			at = time.Now()
		}
		due = due.Add(period)
		m := message{due: int64(at.Sub(s.start)), start: int32(s.random.IntN(starts)), size: int32(s.cfg.Sizes.pick(s.random))}
		if s.cfg.Echo {
			s.pending.push(m)
		}
		if err := s.c.Write(s.ctx, s.messageType(), s.content(m)); err != nil {
			s.failed++
			s.failWrite(err)
			return
		}
		s.sent.Add(1)
		s.sentBytes.Add(int64(m.size))
	}
}

// wait waits until the next message is due. It returns false at the end of the run.
func (s *session) wait(timer *time.Timer, due time.Time) bool {
	if s.over.Err() != nil || s.isBroken() {
		return false
	}
	switch {
	case s.window != nil:
		return s.waitForWindow(timer)
	case s.cfg.Rate == 0:
		return true
	}
	timer.Reset(time.Until(due))
	select {
	case <-timer.C:
		return true
	case <-s.over.Done():
	case <-s.broken:
	}
	return false
}

// waitForWindow waits until the echoes allow the next message. It gives up after the timeout, unless
// the server has sent echoes before and the run has an end of its own: then the wait shows as a long
// round trip.
func (s *session) waitForWindow(timer *time.Timer) bool {
	limit := s.cfg.Timeout
	if s.slow {
		limit += s.cfg.SlowPause
	}
	for {
		timer.Reset(limit)
		select {
		case s.window <- struct{}{}:
			return true
		case <-s.over.Done():
			return false
		case <-s.broken:
			return false
		case <-timer.C:
			if s.cfg.Duration == 0 || s.received.Load() == 0 {
				s.gaveUp = true
				return false
			}
		}
	}
}

func (s *session) content(m message) []byte { return s.text[m.start : m.start+m.size] }

// receive reads until the connection ends.
func (s *session) receive() {
	for {
		typ, r, err := s.c.Reader(s.ctx)
		if err != nil {
			s.fail(err)
			return
		}
		m, expected := message{}, false
		if s.cfg.Echo {
			m, expected = s.pending.first()
		}
		n, equal, err := readMessage(r, s.content(m))
		if err != nil {
			s.fail(err)
			return
		}
		s.received.Add(1)
		s.receivedBytes.Add(int64(n))
		if !s.cfg.Echo {
			continue
		}
		switch {
		case !expected:
			s.errors.add("message: received without a message sent", nil, 1)
		case !equal:
			s.errors.add("message: not the echo of the message sent", fmt.Errorf("%d bytes for %d", n, m.size), 1)
		case typ != s.messageType():
			s.errors.add("message: the echo has another type", typeError(typ), 1)
		case !s.slow:
			s.rtt.record(s.number, time.Since(s.start)-time.Duration(m.due))
		}
		if expected {
			s.pending.pop()
			if s.window != nil {
				<-s.window
			}
		}
		select {
		case s.echoed <- struct{}{}:
		default:
		}
		if s.slow {
			pause(s.over, s.cfg.SlowPause)
		}
	}
}

func typeError(typ websocket.MessageType) error {
	if typ == websocket.MessageBinary {
		return errors.New("binary for a text message; --binary sends binary messages")
	}
	return errors.New("text for a binary message")
}

// ping sends pings until over is done.
func (s *session) ping() {
	if s.cfg.Heartbeat == 0 || s.slow {
		return
	}
	ticker := time.NewTicker(s.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.over.Done():
			return
		case <-s.broken:
			return
		}
		start := time.Now()
		err := s.pingOnce()
		if err == nil {
			s.heartbeats.record(s.number, time.Since(start))
			continue
		}
		if errors.Is(err, context.DeadlineExceeded) && s.ctx.Err() == nil {
			s.errors.add("heartbeat: not answered", err, 1)
			continue
		}
		return
	}
}

// pingOnce sends a ping, and waits for its pong.
func (s *session) pingOnce() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
	defer cancel()
	err := s.c.Ping(ctx)
	if err == nil {
		s.pings.Add(1)
	}
	return err
}

// finish waits until the server has read all messages: for the last echoes, or for the pong of a ping
// that follows the messages.
func (s *session) finish() {
	if !s.cfg.Echo {
		if !s.isBroken() {
			_ = s.pingOnce()
		}
		return
	}
	t := time.NewTimer(s.cfg.Timeout)
	defer t.Stop()
	for !s.gaveUp && s.pending.len() > 0 {
		select {
		case <-s.echoed:
		case <-s.broken:
			return
		case <-t.C:
			return
		}
	}
}

// end ends the connection, unless it is already broken. It counts the close code that the server
// should have counted.
func (s *session) end() {
	s.closing.Store(true)
	if s.isBroken() {
		_ = s.c.CloseNow()
		s.codes.add(s.code, nil, 1)
		return
	}
	if s.drop {
		_ = s.c.CloseNow()
		s.dropped.Add(1)
		s.codes.add("1006", nil, 1)
		return
	}
	start := time.Now()
	err := s.c.Close(websocket.StatusNormalClosure, "")
	if err == nil && (s.ctx.Err() != nil || time.Since(start) >= closeLimit) {
		err = errors.New("no close frame came")
	}
	if err != nil {
		s.errors.add("close: not answered", err, 1)
	}
	s.codes.add("1000", nil, 1)
}

// closeLimit is the time for which Close waits for the server's close frame. It returns no error if it
// has waited in vain.
const closeLimit = 5 * time.Second

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
