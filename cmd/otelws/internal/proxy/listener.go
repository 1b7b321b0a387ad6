package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"iter"
	"net"
	"net/http"
	"sync"
	"time"
)

// clientListener counts the connections of clients and refuses those above the
// limits. Accept returns the inner listener's connections unwrapped, because a
// wrapper would hide methods of *net.TCPConn such as CloseWrite.
type clientListener struct {
	net.Listener
	proxy       *Proxy
	lingering   chan struct{} // a semaphore: one element per connection that is being refused
	tlsRefusals rates         // limits the TLS handshakes with refused clients

	mu    sync.Mutex
	conns map[net.Conn]*clientConn
}

// clientConn is the state of a client's connection.
type clientConn struct {
	listener *clientListener
	who      client
	counted  bool // included in Proxy.counts
	since    time.Time

	mu       sync.Mutex
	asked    bool // a request has reached the handler
	reading  bool // bytes of a request have arrived, but no request has reached the handler
	answered bool // the client has been told that it is late
}

func newClientListener(p *Proxy, l net.Listener) *clientListener {
	return &clientListener{
		Listener:  l,
		proxy:     p,
		lingering: make(chan struct{}, descriptorRoom(maxDescriptors()).lingering),
		conns:     make(map[net.Conn]*clientConn),
	}
}

// follow makes srv report its connections to l.
func (l *clientListener) follow(srv *http.Server) {
	srv.ConnState = l.changed
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, clientConnKey{}, l.conn(c))
	}
}

type clientConnKey struct{}

// clientConnOf returns the state of the connection that a request came on, or nil if
// no clientListener accepted it.
func clientConnOf(r *http.Request) *clientConn {
	conn, _ := r.Context().Value(clientConnKey{}).(*clientConn)
	return conn
}

// Accept returns the next connection that is within the limits.
func (l *clientListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		rf := l.enter(c)
		if rf == nil {
			if n := int(l.proxy.target.socketBytes.Load()); n > 0 {
				if b, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
					_ = b.SetWriteBuffer(n)
				}
			}
			return c, nil
		}
		l.proxy.metrics.refused[rf.reason].Add(1)
		l.turnAway(c, rf)
	}
}

func (l *clientListener) enter(c net.Conn) *refusal {
	p := l.proxy
	s := p.settings.Load()
	peer := peerOf(c.RemoteAddr().String())
	conn := &clientConn{listener: l, who: clientAt(peer, s.limits.IPv6Prefix), counted: !s.trusted.contain(peer), since: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= s.limits.Connections {
		return tooMany(refusedConnections)
	}
	if conn.counted && !p.counts.enter(conn.who, s.limits.ClientConnections) {
		return tooMany(refusedClientConnections)
	}
	l.conns[c] = conn
	return nil
}

// leave removes a connection that has ended.
func (l *clientListener) leave(c net.Conn) {
	l.mu.Lock()
	conn := l.conns[c]
	delete(l.conns, c)
	l.mu.Unlock()
	if conn != nil && conn.counted {
		l.proxy.counts.leave(conn.who)
	}
}

func (l *clientListener) conn(c net.Conn) *clientConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[innermost(c)]
}

// layers yields c and the connections below it.
func layers(c net.Conn) iter.Seq[net.Conn] {
	return func(yield func(net.Conn) bool) {
		for yield(c) {
			outer, ok := c.(interface{ NetConn() net.Conn })
			if !ok {
				return
			}
			c = outer.NetConn()
		}
	}
}

// innermost returns the connection below TLS and other wrappers.
func innermost(c net.Conn) net.Conn {
	for layer := range layers(c) {
		c = layer
	}
	return c
}

// changed is the ConnState hook of the server. It follows a connection until the
// connection is closed or becomes a tunnel.
func (l *clientListener) changed(c net.Conn, state http.ConnState) {
	conn := l.conn(c)
	if conn == nil {
		return
	}
	limit := l.proxy.settings.Load().limits.HandshakeTime
	switch state {
	case http.StateActive: // a request head has arrived, or as much of it as will arrive
		if conn.tooLate(limit) && !speaksHTTP2(c) {
			l.proxy.metrics.refused[refusedLate].Add(1)
			_ = c.SetWriteDeadline(time.Now().Add(turnAwayTime))
			_, _ = io.WriteString(c, lateAnswer)
			_ = c.Close()
		}
	case http.StateIdle:
		conn.headEnded()
	case http.StateClosed:
		l.leave(innermost(c))
		if conn.headEnded() {
			l.proxy.metrics.refused[refusedHead].Add(1)
		} else if conn.tooLate(limit) { // the client sent nothing, or did not finish the TLS handshake
			l.proxy.metrics.refused[refusedLate].Add(1)
		}
	}
}

// tooLate records that a head has arrived, or that none will. It returns true if this
// was to be the first request and its time is over. It returns true only once.
func (c *clientConn) tooLate(limit time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := !c.asked && !c.answered && time.Since(c.since) >= limit
	c.reading, c.answered = !late, c.answered || late
	return late
}

// headEnded records that the bytes so far will not become another request. It returns true
// if no request came of them.
func (c *clientConn) headEnded() (was bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, c.reading = c.reading, false
	return was
}

// requestArrived records that a request has reached the handler.
func (c *clientConn) requestArrived() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.reading = true, false
}

func speaksHTTP2(c net.Conn) bool {
	t, ok := c.(*tls.Conn)
	return ok && t.ConnectionState().NegotiatedProtocol == "h2"
}
