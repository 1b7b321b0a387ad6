package otelws

import (
	"io"
	"os"
	"testing"
	"time"
)

// answering is a transport whose Reads return what they are sent, nil standing for
// a passed deadline, and which takes all.
type answering chan []byte

func (a answering) Read(p []byte) (int, error) {
	b, ok := <-a
	switch {
	case !ok:
		return 0, io.EOF
	case b == nil:
		return 0, os.ErrDeadlineExceeded
	}
	return copy(p, b), nil
}
func (answering) Write(p []byte) (int, error) { return len(p), nil }
func (answering) Close() error                { return nil }

// reader has c read, and returns a function that has it return b.
func reader(t *testing.T, c *conn, from answering) (next func(b []byte)) {
	t.Helper()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		buf := make([]byte, 100)
		for {
			if _, err := c.Read(buf); err == io.EOF {
				return
			}
			returned <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		close(from)
		<-returned
	})
	for !c.reading(c.signs()) {
		time.Sleep(time.Millisecond)
	}
	return func(b []byte) {
		before := c.signs().reads
		from <- b
		<-returned
		for c.signs().reads == before || !c.reading(c.signs()) {
			time.Sleep(time.Millisecond)
		}
	}
}

var (
	aPing    = []byte("\x89\x01p")
	aPong    = []byte("\x8a\x81\x00\x00\x00\x00p")
	aMessage = []byte("\x81\x81\x00\x00\x00\x00a")
)

func newHeartbeat(c *conn) *heartbeat {
	return &heartbeat{conn: c, config: &heartbeatConfig{every: time.Second, timeout: 4 * time.Millisecond, misses: 2}}
}

// A peer is dead of which nothing has come since the ping.
func TestMissed(t *testing.T) {
	for _, tt := range []struct {
		name string
		come [][]byte
		want bool
	}{
		{name: "nothing", want: true},
		{name: "a pong", come: [][]byte{aPong}},
		{name: "a message", come: [][]byte{aMessage}},
		{name: "half a message", come: [][]byte{aMessage[:3]}},
		{name: "a deadline", come: [][]byte{nil}, want: true},
		{name: "a message after a deadline", come: [][]byte{nil, aMessage}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			transport := make(answering)
			c := openConn(t, transport)
			next, h := reader(t, c, transport), newHeartbeat(c)
			before := c.signs()
			if _, err := c.Write(aPing); err != nil {
				t.Fatal(err)
			}
			for _, b := range tt.come {
				next(b)
			}
			if got := h.missed(before); got != tt.want {
				t.Errorf("missed %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("nothing is read", func(t *testing.T) {
		c := openConn(t, make(answering))
		before := c.signs()
		if _, err := c.Write(aPing); err != nil {
			t.Fatal(err)
		}
		if newHeartbeat(c).missed(before) {
			t.Error("missed what nobody could read")
		}
	})
}

// Pings that cannot be written are missed one after the other only for one Write.
func TestMissedForAWrite(t *testing.T) {
	c := openConn(t, make(answering))
	h := newHeartbeat(c)
	miss := func(want int) {
		t.Helper()
		if !h.missed(c.signs()) {
			t.Error("not missed")
		}
		if h.misses++; h.misses != want {
			t.Errorf("%d misses in a row, want %d", h.misses, want)
		}
	}
	first := now()
	c.outbound.writing.add(first)
	miss(1)
	miss(2)
	c.outbound.writing.remove(first)
	c.outbound.writing.add(first + time.Second)
	miss(1)
	miss(2)
}
