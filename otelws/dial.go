package otelws

import (
	"context"
	"net"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Conn returns nc, a connection that a library dials, watched. It is for clients
// that do not dial through [net/http], and has the form of what they take:
//
//	gobwas.Dialer{WrapConn: ws.Conn}
//	gws.NewClientFromConn(events, option, ws.Conn(nc))
//
// The request for a WebSocket is read as it goes out, and the response as it comes
// in: with the 101 response it becomes a connection, which ends as
// [Instrumentation.Handler] says. Any other response, or none, is recorded by its
// status, as [Instrumentation.Transport] does. What is sent through it is not
// changed: to have the server continue a trace, put its context into the header of
// the request. [SetAttributeOn] gives an attribute that no function of [WithEnum] finds in
// the request, and [Instrumentation.HeartbeatOn] finds the connection.
//
// Bytes are HTTP/1.1 here: nc is a *tls.Conn where there is TLS. What carries
// anything else passes unread, and the first of each kind is reported to the error
// handler of OpenTelemetry.
//
// The result has CloseWrite where nc has it, and no ReadFrom and no SyscallConn. A
// Transport over a Conn counts once, as does a Conn over a Conn. Where nc is nil, so
// is the result.
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

// DialContext returns a function that dials by dial, by a [net.Dialer] where dial is
// nil, and whose connections are watched as those of [Instrumentation.Conn] are. It
// has the form of what libraries take:
//
//	gorilla.Dialer{NetDialContext: ws.DialContext(nil)}
//	gorilla.Dialer{NetDialTLSContext: ws.DialContext((&tls.Dialer{Config: config}).DialContext)}
//	gobwas.Dialer{NetDial: ws.DialContext(nil)}
//
// It knows more than Conn does: the handshake begins with the dial, in its duration
// and its span, a dial that fails is recorded as a handshake without a response, and
// the span belongs to the trace of the context. It is for dialers of
// WebSockets alone, since for others a dial that fails is no handshake.
//
// The functions are safe for concurrent use as far as dial is.
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
