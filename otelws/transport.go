package otelws

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"

	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// Transport returns a RoundTripper that watches the WebSocket connections
// dialed through base, which is [http.DefaultTransport] where it is nil:
//
//	websocket.DialOptions{HTTPClient: &http.Client{Transport: ws.Transport(nil)}}
//
// A request that asks for no WebSocket reaches base untouched. One that does
// is recorded by its status, 0 standing for no response that answers it; the body
// of a 101 response that does is the connection, which ends as [Instrumentation.Handler] says.
//
// A Transport inside a Transport watches once. It is safe for concurrent use.
func (i *Instrumentation) Transport(base http.RoundTripper) http.RoundTripper {
	i.client.use()
	return &transport{in: i, base: base}
}

type transport struct {
	in   *Instrumentation
	base http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	if !asksForWebSocket(r.Header) || t.in.closed.Load() || t.in.dialsFor(r.Context()) {
		return base.RoundTrip(r)
	}

	c := new(connection)
	r = c.begin(t.in.client, r)
	var lower net.Conn // http.Transport hides it beneath the body
	asked := r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			lower = got.Conn
			tap.Skip(lower, (&door{side: t.in.client}).isSame)
		},
	}))
	returned := false
	defer func() {
		if !returned { // it panicked
			c.Refused(0)
		}
	}()
	resp, err := base.RoundTrip(asked)
	returned = true
	if err != nil {
		c.Refused(0)
		return resp, err
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !tap.SwitchesToWebSocket(resp.StatusCode, resp.Header) || !tap.AcceptsKey(r.Header, resp.Header) {
		status := resp.StatusCode
		if status == http.StatusSwitchingProtocols {
			status = 0 // it answers another request, or none: no connection begins
		}
		c.Refused(status)
		return resp, nil
	}
	resp.Body = c.Watch(body, false, c, c.kept())
	resp.Request = r
	c.Lower(lower)
	c.Open(resp.Header)
	return resp, nil
}

// CloseIdleConnections serves [http.Client.CloseIdleConnections].
func (t *transport) CloseIdleConnections() {
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// dialsFor says whether ctx is the context of a request on its way through a
// Transport.
func (i *Instrumentation) dialsFor(ctx context.Context) bool {
	c := connectionFrom(ctx) // of an accepted connection, in a proxy
	return c != nil && c.side.role == client && !c.isOver() && sameProvider(c.side.in, i)
}
