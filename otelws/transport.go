package otelws

import (
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
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
	if !asksForWebSocket(r.Header) || t.watched(r) {
		return base.RoundTrip(r)
	}

	h := new(handshake)
	r = h.begin(t.in.client, r)
	returned := false
	defer func() {
		if !returned { // it panicked
			h.end(0)
		}
	}()
	resp, err := base.RoundTrip(r)
	returned = true
	if err != nil {
		h.end(0)
		return resp, err
	}
	rwc, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !switchedToWebSocket(resp.StatusCode, resp.Header) || !acceptsKey(r.Header, resp.Header) {
		status := resp.StatusCode
		if status == http.StatusSwitchingProtocols {
			status = 0 // it answers another request, or none: no connection begins
		}
		h.end(status)
		return resp, nil
	}
	c, body := newBody(h, rwc)
	h.conn = c
	h.answered(resp.Header)
	c.prepare()
	c.open()
	resp.Body = body
	resp.Request = r
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

// watched says whether r is on its way through another Transport. Its
// handshake is the request's own, and is under way: that of an inbound request
// may be in the context too.
func (t *transport) watched(r *http.Request) bool {
	h := handshakeFrom(r.Context())
	return h != nil && h.side.role == client && !h.isSettled() && sameProvider(h.side.in, t.in)
}

// acceptsKey says whether a response proves that it understood the request
// (RFC 6455 section 4.2.2). A client ends the connection otherwise.
func acceptsKey(request, response http.Header) bool {
	sum := sha1.Sum([]byte(request.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return response.Get("Sec-WebSocket-Accept") == base64.StdEncoding.EncodeToString(sum[:])
}
