package otelws

import (
	"net"
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Listener returns a net.Listener whose connections are watched. It is for servers
// that are no [net/http] handlers, and read requests from the connection itself:
//
//	app.Listener(ws.Listener(l))                  // fiber, and so fasthttp.Server.Serve
//	gws.NewServer(events, nil).RunListener(ws.Listener(l))
//	c, err := ws.Listener(l).Accept()             // gobwas: ws.Upgrade(c)
//
// A connection that it accepts carries requests of HTTP/1.1, which cost some 100 ns
// each and are neither changed nor kept back. One that asks for a WebSocket is
// recorded by the status of its response, and becomes a connection when a 101
// response has gone out, which ends as [Instrumentation.Handler] says. The functions
// of [WithEnum] are given the request as it stands on the wire: its Pattern is
// empty, its context is the background one. [SetAttributeOn] gives an attribute that is known
// later, and [Instrumentation.HeartbeatOn] finds the connection.
//
// l gives plain HTTP: where there is TLS, or the PROXY protocol, Listener goes
// around the listener that removes it, as in
// ws.Listener(tls.NewListener(l, config)). A connection that carries anything else
// passes unread, and the first of each kind is reported to the error handler of
// OpenTelemetry. So is HTTP/2, whose WebSockets (RFC 8441) are not seen.
//
// Not seen are a handshake that a client sends before the request before it was
// answered, and one that follows 100 Continue where no other response does. A
// server that echoes the body of a request while that comes in can be led, by such
// a body, to count a handshake that was none.
//
// The connections have CloseWrite where those of l have it, and ConnectionState
// where those are of TLS. They have no ReadFrom and no SyscallConn, and are no
// *net.TCPConn: files are copied without sendfile, and options that a server sets
// by such a type are not set. For net/http, [Instrumentation.Handler] is the way,
// which costs nothing of that: a listener around one of TLS has net/http serve
// HTTP/1.1 alone, since it looks for a *tls.Conn. A Handler inside a Listener counts
// once, with what the Handler knows. The engine of nbio takes no connections but its
// own: they pass unwatched, which is reported to that error handler too.
func (i *Instrumentation) Listener(l net.Listener) net.Listener {
	return &listener{Listener: l, door: &door{side: i.server}}
}

type listener struct {
	net.Listener
	door     *door
	once     sync.Once
	ofEngine bool
}

func (l *listener) Accept() (net.Conn, error) {
	l.once.Do(func() {
		if l.ofEngine = calledByEngine(); l.ofEngine {
			tellOfEngine()
		}
	})
	nc, err := l.Listener.Accept()
	if err != nil || nc == nil || l.ofEngine || tap.Under(nc, l.door.isSame) {
		return nc, err
	}
	return tap.NewWire(nc, true, l.door), nil
}
