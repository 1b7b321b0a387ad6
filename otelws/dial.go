package otelws

import (
	"context"
	"net"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Conn returns a connection that watches nc, for a client that dials without [net/http]. It fits
// the options of these libraries:
//
//	gobwas.Dialer{WrapConn: ws.Conn}
//	gws.NewClientFromConn(events, option, ws.Conn(nc))
//
// Conn reads the request for a WebSocket and its response as they pass. After a 101 response, the
// connection begins. It ends as [Instrumentation.Handler] describes. Other responses are recorded
// as in [Instrumentation.Transport].
//
// Conn does not change the request. To let the server continue a trace, inject its context into the
// request's header. Use [SetAttributeOn] for an attribute that no function of [WithEnum] can find
// in the request, and [Instrumentation.HeartbeatOn] for a heartbeat.
//
// nc must carry HTTP/1.1. With TLS, pass the *tls.Conn. Other protocols pass unwatched, and the
// first connection of each such protocol is reported to the error handler of OpenTelemetry.
//
// The result has the method CloseWrite if nc has it. It has no ReadFrom and no SyscallConn. A
// Transport or a Conn around a Conn does not count a second time. If nc is nil, the result is nil.
func (i *Instrumentation) Conn(nc net.Conn) net.Conn {
	i.client.use()
	return (&door{side: i.client}).wrap(nc)
}

func (d *door) wrap(nc net.Conn) net.Conn {
	if nc == nil || tap.Under(nc, d.isSame) {
		return nc
	}
	return tap.NewWire(nc, false, d)
}

// DialContext returns a function that dials with dial and watches the connection, as
// [Instrumentation.Conn] does. If dial is nil, it uses a [net.Dialer]. It fits the options of these
// libraries:
//
//	gorilla.Dialer{NetDialContext: ws.DialContext(nil)}
//	gorilla.Dialer{NetDialTLSContext: ws.DialContext((&tls.Dialer{Config: config}).DialContext)}
//	gobwas.Dialer{NetDial: ws.DialContext(nil)}
//
// gorilla/websocket 1.5 cannot combine NetDialTLSContext with its Proxy: it would speak TLS to the
// proxy. Behind a proxy, dial through it in the function that you pass to DialContext, or use a client on
// net/http with [Instrumentation.Transport].
//
// It records more than Conn. The duration and the span of the handshake include the dial. A failed
// dial counts as a handshake without a response. The span belongs to the trace in the context.
//
// Use it only for WebSockets, because every failed dial counts as a failed handshake. The function
// is safe for concurrent use if dial is.
func (i *Instrumentation) DialContext(
	dial func(ctx context.Context, network, address string) (net.Conn, error),
) func(ctx context.Context, network, address string) (net.Conn, error) {
	i.client.use()
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := &door{side: i.client, watched: i.dialsFor(ctx)}
		d.dialed.Store(&dialed{ctx, clock.Now()})
		nc, err := dial(ctx, network, address)
		if err != nil {
			if !d.watched {
				d.failed(address)
			}
			return nc, err
		}
		return d.wrap(nc), nil
	}
}
