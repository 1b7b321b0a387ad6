package otelws

import (
	"crypto/sha1"
	"encoding/base64"
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
// is recorded by its status, 0 standing for no response; the body of a 101
// response is the connection, which ends as [Instrumentation.Handler] says.
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
	if !asksForWebSocket(r.Header) || t.watched(r) {
		return base.RoundTrip(r)
	}

	c := new(connection)
	r = c.begin(t.in.client, r)
	var lower net.Conn // http.Transport hides it beneath the body
	asked := r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { lower = got.Conn },
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
	if !ok || !tap.SwitchesToWebSocket(resp.StatusCode, resp.Header) || !acceptsKey(r.Header, resp.Header) {
		c.Refused(resp.StatusCode)
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

// watched says whether r is on its way through another Transport.
func (t *transport) watched(r *http.Request) bool {
	c := connectionFrom(r.Context()) // of an accepted connection, in a proxy
	return c != nil && c.side.role == client && !c.isOver() && sameProvider(c.side.in, t.in)
}

// acceptsKey says whether a response proves that it understood the request
// (RFC 6455 section 4.2.2). A client ends the connection otherwise.
func acceptsKey(request, response http.Header) bool {
	sum := sha1.Sum([]byte(request.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return response.Get("Sec-WebSocket-Accept") == base64.StdEncoding.EncodeToString(sum[:])
}
