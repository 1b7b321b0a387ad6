package otelws

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"go.opentelemetry.io/otel"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// door is the origin of connections that are watched from their first byte: a Listener, or the dial
// of one connection.
type door struct {
	side    *side
	dialed  atomic.Pointer[dialed] // nil if the dial is unknown
	watched bool                   // a Transport already watches the handshakes
}

// dialed describes a dial.
type dialed struct {
	ctx   context.Context
	start clock.Instant // 0 after the first request
}

func (d *door) isSame(other tap.Door) bool {
	o, ok := other.(*door)
	return ok && o.side.role == d.side.role && sameProvider(o.side.in, d.side.in)
}

// Asked begins the handshake of r, if r asks for a WebSocket.
func (d *door) Asked(nc net.Conn, r *http.Request) (*tap.Conn, tap.Recorder, any) {
	if !asks(r) || !d.side.in.admits() {
		return nil, nil, nil
	}
	r.TLS = tlsOf(nc)
	c := new(connection)
	if d.side.role == server {
		r.RemoteAddr = textOf(nc.RemoteAddr())
		c.beginLate(d.side, r, clock.Now())
		c.listen(nc.LocalAddr())
	} else {
		d.beginDialed(c, r)
	}
	return &c.Conn, c, c.kept()
}

// tlsOf returns the state of a TLS connection, or nil. The method of an application's own type may
// panic.
func tlsOf(nc net.Conn) (state *tls.ConnectionState) {
	defer func() {
		if recover() != nil {
			state = nil
		}
	}()
	if c, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		s := c.ConnectionState()
		return &s
	}
	return nil
}

// beginDialed begins the handshake of an outgoing request.
func (d *door) beginDialed(c *connection, r *http.Request) {
	if r.URL.Host == "" { // otherwise the request goes to a proxy
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
	// The connection may live longer than the values of the context should.
	d.dialed.Store(&dialed{ctx: spanContextOnly(dial.ctx)})
}

// failed records a dial that failed.
func (d *door) failed(address string) {
	r, err := http.NewRequest(http.MethodGet, "ws://"+address, nil)
	if err != nil { // the address is invalid
		r, _ = http.NewRequest(http.MethodGet, "ws://", nil)
	}
	c := new(connection)
	d.side.in.handshakes.Add(1)
	d.beginDialed(c, r)
	c.Refused(0)
}

// unreadable explains why a connection cannot be watched, for each protocol.
var unreadable = [upgrade.Protocols]string{
	upgrade.TLS:           "carries TLS, so its WebSockets are not watched: put Listener around the tls.Listener, and Conn around the tls.Conn (in gorilla/websocket, use NetDialTLSContext, without its Proxy)",
	upgrade.ProxyProtocol: "begins with the PROXY protocol, so its WebSockets are not watched: put Listener around the listener that removes the PROXY protocol",
	upgrade.HTTP2:         "carries HTTP/2, so its WebSockets are not watched: serve WebSockets over HTTP/1.1",
}

// Unreadable reports the first connection of protocol p.
func (d *door) Unreadable(p upgrade.Protocol) {
	if !d.watched && !d.side.in.unreadable[p].Swap(true) {
		otel.Handle(errors.New("otelws: a connection of " + d.side.role.door() + " " + unreadable[p]))
	}
}

// door returns the name of the API that gave the connection, for messages.
func (r role) door() string {
	if r == server {
		return "Listener"
	}
	return "Conn or DialContext"
}

func (d *door) Fault(v any) { d.side.fault(v) }
