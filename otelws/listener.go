package otelws

import (
	"net"
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Listener returns a net.Listener that watches the WebSocket connections it accepts. Use it for
// servers that read HTTP requests from the connection themselves, without [net/http]:
//
//	app.Listener(ws.Listener(l))                  // fiber, and so fasthttp.Server.Serve
//	gws.NewServer(events, nil).RunListener(ws.Listener(l))
//	c, err := ws.Listener(l).Accept()             // gobwas: ws.Upgrade(c)
//
// For net/http, use [Instrumentation.Handler], which has none of the limits below.
//
// An accepted connection carries HTTP/1.1 requests. Each request costs about 100 ns, and passes
// unchanged and without delay. If a request asks for a WebSocket, its handshake is recorded with
// the status of the response. A connection begins when a 101 response has been written. It ends as
// [Instrumentation.Handler] describes.
//
// The functions of [WithEnum] get the request as read from the connection: its Pattern is empty,
// and its context is the background context. Use [SetAttributeOn] for attributes that are known
// later, and [Instrumentation.HeartbeatOn] for a heartbeat of one connection.
//
// # TLS and other protocols
//
// l must accept plain HTTP. Put Listener around the listener that removes TLS or the PROXY
// protocol, as in ws.Listener(tls.NewListener(l, config)). Other protocols pass unwatched, and the
// first connection of each such protocol is reported to the error handler of OpenTelemetry. HTTP/2
// is one of them.
//
// # Limits
//
// Listener does not see a handshake that is pipelined behind an unanswered request, nor a handshake
// that directly follows a 100 Continue. If a server echoes a request body that is still arriving, a
// malicious body can fake a handshake in the counts.
//
// Connections have the method CloseWrite if the connections of l have it, and ConnectionState if l
// accepts TLS connections. They have no ReadFrom and no SyscallConn, and they are not of type
// *net.TCPConn. Therefore files are copied without sendfile, and a server cannot set TCP options on
// them.
//
// With a Listener around a TLS listener, net/http serves only HTTP/1.1, because it looks for a
// *tls.Conn. If there is a Handler inside a Listener, only the Handler counts the connection.
//
// nbio's own engine accepts only its own connections. They pass unwatched, and this is reported once
// to the error handler of OpenTelemetry.
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
