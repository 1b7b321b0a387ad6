package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// door is the listener for clients. It counts their connections, and refuses those
// that are too many. The connections that it gives are the listener's own: a
// wrapper would hide what kind they are.
type door struct {
	net.Listener
	proxy     *Proxy
	lingering chan struct{} // one in it for each connection that is being refused
	courtesy  rates         // of TLS handshakes with those

	mu       sync.Mutex
	visitors map[net.Conn]*visitor
}

// visitor is a client's connection.
type visitor struct {
	door    *door
	who     client
	counted bool // in the proxy's counts
	since   time.Time

	mu      sync.Mutex
	asked   bool // a request of it has come to the handler
	reading bool // a head has come, in part or whole, and no request of it
	told    bool // that it is late
}

func newDoor(p *Proxy, l net.Listener) *door {
	return &door{
		Listener:  l,
		proxy:     p,
		lingering: make(chan struct{}, descriptorRoom(maxDescriptors()).lingering),
		visitors:  make(map[net.Conn]*visitor),
	}
}

// serve has an http.Server tell of its connections.
func (d *door) serve(srv *http.Server) {
	srv.ConnState = d.changed
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, visitorKey{}, d.visitor(c))
	}
}

type visitorKey struct{}

// visitorOf returns nil for a request that came by no door.
func visitorOf(r *http.Request) *visitor {
	v, _ := r.Context().Value(visitorKey{}).(*visitor)
	return v
}

// Accept returns a connection that may come in.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		rf := d.enter(c)
		if rf == nil {
			if n := int(d.proxy.target.socketBytes.Load()); n > 0 {
				if b, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
					_ = b.SetWriteBuffer(n)
				}
			}
			return c, nil
		}
		d.proxy.metrics.refused[rf.reason].Add(1)
		d.turnAway(c, rf)
	}
}

func (d *door) enter(c net.Conn) *refusal {
	p := d.proxy
	s := p.settings.Load()
	peer := peerOf(c.RemoteAddr().String())
	v := &visitor{door: d, who: clientAt(peer, s.limits.IPv6Prefix), counted: !s.trusted.contain(peer), since: time.Now()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.visitors) >= s.limits.Connections {
		return tooMany(refusedConnections)
	}
	if v.counted && !p.counts.enter(v.who, s.limits.ClientConnections) {
		return tooMany(refusedClientConnections)
	}
	d.visitors[c] = v
	return nil
}

// leave takes note that a connection has ended.
func (d *door) leave(c net.Conn) {
	d.mu.Lock()
	v := d.visitors[c]
	delete(d.visitors, c)
	d.mu.Unlock()
	if v != nil && v.counted {
		d.proxy.counts.leave(v.who)
	}
}

func (d *door) visitor(c net.Conn) *visitor {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.visitors[innermost(c)]
}

// innermost returns the connection beneath TLS and whatever else.
func innermost(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// changed follows a connection until it is closed, or has become a tunnel.
func (d *door) changed(c net.Conn, state http.ConnState) {
	v := d.visitor(c)
	if v == nil {
		return
	}
	limit := d.proxy.settings.Load().limits.HandshakeTime
	switch state {
	case http.StateActive: // the head of a request has come, or what there will be of it
		if v.late(limit) && !speaksHTTP2(c) {
			d.proxy.metrics.refused[refusedLate].Add(1)
			_ = c.SetWriteDeadline(time.Now().Add(turnAwayTime))
			_, _ = io.WriteString(c, lateAnswer)
			_ = c.Close()
		}
	case http.StateIdle:
		v.took()
	case http.StateClosed:
		d.leave(innermost(c))
		if v.took() {
			d.proxy.metrics.refused[refusedHead].Add(1)
		} else if v.late(limit) { // it has said nothing, or is not done with TLS
			d.proxy.metrics.refused[refusedLate].Add(1)
		}
	}
}

// late takes note that a head has come, or will not come, and says whether it is
// the first one and too late. It says so once.
func (v *visitor) late(limit time.Duration) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	late := !v.asked && !v.told && time.Since(v.since) >= limit
	v.reading, v.told = !late, v.told || late
	return late
}

// took takes note that there is nothing more to become of what has come, and says
// whether nothing has.
func (v *visitor) took() (was bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	was, v.reading = v.reading, false
	return was
}

// asks takes note of a request.
func (v *visitor) asks() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked, v.reading = true, false
}

func speaksHTTP2(c net.Conn) bool {
	t, ok := c.(*tls.Conn)
	return ok && t.ConnectionState().NegotiatedProtocol == "h2"
}
