package otelws

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// door is where connections come from that are watched from their first byte: a
// Listener, or the dial of one connection.
type door struct {
	side    *side
	dialed  atomic.Pointer[dialed] // nil where nothing is known of the dial
	watched bool                   // a Transport watches the handshakes
}

// dialed is what is known of the dial.
type dialed struct {
	ctx   context.Context
	start clock.Instant // 0 once a request has been sent
}

func (d *door) isSame(other tap.Door) bool {
	o, ok := other.(*door)
	return ok && o.side.role == d.side.role && sameProvider(o.side.in, d.side.in)
}

// Asked begins the handshake of r, where it is one.
func (d *door) Asked(nc net.Conn, r *http.Request) (*tap.Conn, tap.Recorder, any) {
	if !d.side.in.watches(r) {
		return nil, nil, nil
	}
	if c, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := c.ConnectionState()
		r.TLS = &state
	}
	c := new(connection)
	if d.side.role == server {
		r.RemoteAddr = nc.RemoteAddr().String()
		c.beginLate(d.side, r, clock.Now())
		c.listen(nc.LocalAddr())
	} else {
		d.beginDialed(c, r)
	}
	return &c.Conn, c, c.kept()
}

// beginDialed begins the handshake of a request that is going out.
func (d *door) beginDialed(c *connection, r *http.Request) {
	if r.URL.Host == "" { // else a proxy is asked
		r.URL.Scheme, r.URL.Host = "ws", r.Host
		if r.TLS != nil {
			r.URL.Scheme = "wss"
		}
	}
	dial := d.dialed.Load()
	if dial == nil {
		c.beginLate(d.side, r, clock.Now())
		return
	}
	c.beginLate(d.side, r.WithContext(dial.ctx), cmp.Or(dial.start, clock.Now()))
	// The connection may outlive what the context holds.
	d.dialed.Store(&dialed{ctx: spanContextOnly(dial.ctx)})
}

// failed records a dial that came to no connection.
func (d *door) failed(address string) {
	r, err := http.NewRequest(http.MethodGet, "ws://"+address, nil)
	if err != nil { // the address is none
		r, _ = http.NewRequest(http.MethodGet, "ws://", nil)
	}
	c := new(connection)
	d.beginDialed(c, r)
	c.Refused(0)
}

// unreadable says what is wrong with a connection that carries a protocol.
var unreadable = [tap.Protocols]string{
	tap.TLS:           "carries TLS, beneath which no WebSocket is seen: put Listener around the tls.Listener, and Conn around the tls.Conn (in gorilla/websocket NetDialTLSContext)",
	tap.ProxyProtocol: "begins with the PROXY protocol, behind which no WebSocket is looked for: put Listener around the listener that removes it",
	tap.HTTP2:         "carries HTTP/2, whose WebSockets are not seen",
}

// Unreadable reports the first connection that carries p.
func (d *door) Unreadable(p tap.Protocol) {
	if !d.watched && !d.side.in.unreadable[p].Swap(true) {
		otel.Handle(errors.New("otelws: a connection of " + d.side.role.door() + " " + unreadable[p]))
	}
}

// door is how users name what gives the connections.
func (r role) door() string {
	if r == server {
		return "Listener"
	}
	return "Conn or DialContext"
}

func (d *door) Fault(v any) { d.side.fault(v) }

// SetAttributeOn is [SetAttribute] for a connection that is known and whose request's context is
// not: one of [Instrumentation.Listener], [Instrumentation.Conn] or
// [Instrumentation.DialContext], or that Hijack returned. nc is that connection or
// stands on it, as what a WebSocket library gives out does.
//
//	err := otelws.SetAttributeOn(c.RequestCtx().Conn(), "tier", tier)        // in a handler of fiber
//
// It returns an error, and changes nothing, where nc is not watched or carries no
// handshake, where no WithEnum declares name, and after the response to the
// handshake.
func SetAttributeOn(nc net.Conn, name, value string) error {
	watched, declared, set := false, false, false
	for recorder := range tap.Of(nc) {
		c := recorder.(*connection)
		watched = true
		if c.side.declares(attribute.Key(name)) {
			declared = true
			set = c.setValue(attribute.Key(name), value) || set
		}
	}
	switch {
	case !watched:
		return fmt.Errorf("otelws: failed to set %s: the connection is not watched, or carries no request for a WebSocket", name)
	case !declared:
		return fmt.Errorf("otelws: failed to set %s: no WithEnum declares it", name)
	case !set:
		return fmt.Errorf("otelws: failed to set %s: the handshake has been answered", name)
	}
	return nil
}
