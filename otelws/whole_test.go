package otelws

import (
	"io"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// scripted is a transport that reads what it is given, and takes all.
type scripted struct{ read []byte }

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.read) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.read)
	s.read = s.read[n:]
	return n, nil
}
func (*scripted) Write(p []byte) (int, error) { return len(p), nil }
func (*scripted) Close() error                { return nil }

func openConn(t testing.TB, rwc io.ReadWriteCloser) *conn {
	t.Helper()
	ws, err := New(WithMeterProvider(noop.NewMeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	h := new(handshake)
	h.begin(ws.server, httptest.NewRequest("GET", "/", nil))
	c, _ := newBody(h, rwc)
	c.prepare()
	c.open()
	return c
}

// A message that is one frame is counted as such between other messages, and not
// within one.
func TestWholeMessagesAreCountedAsSuch(t *testing.T) {
	c := openConn(t, new(scripted))
	out := &c.outbound
	for _, step := range []struct {
		name         string
		frame        []byte
		whole, other int64 // frames so far
		then         bool  // whole
	}{
		{"a message", []byte("\x81\x01a"), 1, 0, true},
		{"a ping", []byte("\x89\x01a"), 1, 1, true},
		{"a first fragment", []byte("\x01\x01a"), 1, 2, false},
		{"a ping in between", []byte("\x89\x01a"), 1, 3, false},
		{"a last fragment", []byte("\x80\x01a"), 1, 4, true},
		{"a message again", []byte("\x81\x01a"), 2, 4, true},
		{"two messages", []byte("\x81\x01a\x81\x01a"), 2, 6, true},
		{"half a message", []byte("\x81\x02a"), 2, 6, false},
		{"the other half", []byte("a"), 2, 7, true},
		{"a close frame", []byte("\x88\x00"), 2, 8, false},
	} {
		if _, err := c.Write(step.frame); err != nil {
			t.Fatal(err)
		}
		whole := c.shard.wholeMessages(transmit, frame.Text).count[0].Load()
		var other int64
		for i := range c.shard.other[transmit].frames {
			other += c.shard.other[transmit].frames[i].Load()
		}
		if whole != step.whole || other != step.other || out.whole.Load() != step.then {
			t.Errorf("after %s: %d whole messages and %d other frames, whole %v; want %d, %d, %v",
				step.name, whole, other, out.whole.Load(), step.whole, step.other, step.then)
		}
	}

	if _, n := out.writing.elapsed(now()); n != 0 {
		t.Errorf("%d writes are in progress, want none", n)
	}

	in := openConn(t, &scripted{read: []byte("\x81\x81\x00\x00\x00\x00a")})
	if _, err := in.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if n := in.shard.wholeMessages(receive, frame.Text).count[0].Load(); n != 1 {
		t.Errorf("%d whole messages received, want 1", n)
	}
}

// A Write that stopped is read again from there, unless another has been read
// meanwhile.
func TestReadAgain(t *testing.T) {
	message := []byte("\x81\x05hello")
	first, rest := message[:4], message[4:]
	read := func(c *conn, b []byte) *readAhead {
		var w readAhead
		c.sending(&w, b)
		return &w
	}
	c := openConn(t, new(scripted))
	c.sent(first, 0, read(c, first))
	if read(c, message); !c.outbound.frames.BetweenMessages() {
		t.Error("a message was not read from its beginning")
	}

	c = openConn(t, new(scripted))
	stopped := read(c, first)
	read(c, slices.Concat(rest, first))
	c.sent(first, 0, stopped)
	if c.outbound.frames.BetweenMessages() {
		t.Error("what another Write began was forgotten")
	}
	if read(c, rest); !c.outbound.frames.BetweenMessages() {
		t.Error("what another Write began does not end")
	}
}

// What a peer sends before the response is bounded, and is not kept when it was
// too much.
func TestWaitingIsBounded(t *testing.T) {
	for _, n := range []int{1, 8 << 20} {
		c := openConn(t, new(scripted))
		c.state.Store(pending)
		c.received(make([]byte, maxWaiting))
		c.received(make([]byte, n))
		if c.handshake.waiting != nil || c.state.Load() != foreign {
			t.Errorf("%d bytes too many are kept, state %d", n, c.state.Load())
		}
	}
}

// A write is stuck that has gone on for a second, and several that together have
// are not.
func TestWriteStuck(t *testing.T) {
	for _, c := range []struct {
		name  string
		ages  []time.Duration
		stuck bool
	}{
		{"none", nil, false},
		{"one", []time.Duration{2 * time.Second}, true},
		{"one of late", []time.Duration{300 * time.Millisecond}, false},
		{"eight of late", slices.Repeat([]time.Duration{300 * time.Millisecond}, 8), false},
		{"two", []time.Duration{2 * time.Second, 2 * time.Second}, true},
	} {
		conn := openConn(t, new(scripted))
		for _, age := range c.ages {
			conn.outbound.writing.add(now() - age)
		}
		if got := conn.writeStuck(); got != c.stuck {
			t.Errorf("%s: stuck %v, want %v", c.name, got, c.stuck)
		}
	}
}
