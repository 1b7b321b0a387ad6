package otelws

import (
	"testing"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// A pong answers its ping and those before it, and no ping twice (RFC 6455
// section 5.5.3).
func TestPongs(t *testing.T) {
	c := openConn(t, new(scripted))
	control := func(first byte, payload string) *frame.Frame {
		t.Helper()
		p := frame.New(false, 0)
		f, _, ok, err := p.Next(append([]byte{first, byte(len(payload))}, payload...))
		if !ok || err != frame.None {
			t.Fatal(err)
		}
		return &f
	}
	ping := func(payload string) { t.Helper(); c.pinged(control(0x89, payload)) }
	pong := func(payload string, want uint32) {
		t.Helper()
		c.ponged(control(0x8a, payload))
		if got := c.signs().pongs; got != want {
			t.Errorf("after a pong %q: %d pings answered, want %d", payload, got, want)
		}
	}
	pong("unasked", 0)
	for _, payload := range []string{"a", "b", "c"} {
		ping(payload)
	}
	pong("b", 1)
	pong("b", 1)
	pong("a", 1) // done with
	pong("c", 2)

	ping("same")
	sent := c.life.pings.list[0].sent
	ping("same")
	if all := c.life.pings.list; len(all) != 1 || all[0].sent != sent {
		t.Errorf("pings in flight: %v", all)
	}
	pong("same", 3)
	pong("same", 3)

	for i := range maxPings + 1 {
		ping(string(rune('A' + i)))
	}
	if n := len(c.life.pings.list); n != maxPings {
		t.Errorf("%d pings are remembered", n)
	}
	pong("A", 3) // forgotten
	pong("B", 4)
}
