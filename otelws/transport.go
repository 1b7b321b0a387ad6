package otelws

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"

	"go.opentelemetry.io/otel"

	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// Transport returns a RoundTripper that watches the WebSocket connections that are dialed through
// base. If base is nil, it uses [http.DefaultTransport].
//
//	websocket.DialOptions{HTTPClient: &http.Client{Transport: ws.Transport(nil)}}
//
// If a request asks for a WebSocket, its handshake is recorded with the status of the response, or
// 0 if there is no valid response. Every other request goes to base unchanged. The body of a valid
// 101 response is the connection. It ends as [Instrumentation.Handler] describes.
//
// Transport must see the request for the WebSocket. If base turns an ordinary request into a
// WebSocket, as client-go does for exec and port-forward, the connection passes unwatched, and this
// is reported once to the error handler of OpenTelemetry.
//
// A Transport inside another Transport of the same MeterProvider does nothing. A Transport is safe
// for concurrent use if base is.
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
	if !upgrade.IsAskedFor(upgrade.Canonical(r.Header)) {
		resp, err := base.RoundTrip(r)
		if err == nil && resp != nil {
			t.in.checkUpgrade(resp)
		}
		return resp, err
	}
	if t.in.dialsFor(r.Context()) || !t.in.admits() {
		return base.RoundTrip(r)
	}

	c := new(connection)
	r = c.begin(t.in.client, r)
	var lower lowerConn
	asked := r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			lower.got(got.Conn)
			tap.Skip(got.Conn, (&door{side: t.in.client}).isSame)
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
	if err != nil || resp == nil {
		c.Refused(0)
		return resp, err
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	header := upgrade.Canonical(resp.Header)
	if !ok || !upgrade.Switches(resp.StatusCode, header) || !upgrade.AcceptsKey(upgrade.Canonical(r.Header), header) {
		status := resp.StatusCode
		if status == http.StatusSwitchingProtocols {
			status = 0 // it does not answer this request, so no connection begins
		}
		c.Refused(status)
		return resp, nil
	}
	resp.Body = c.Watch(body, false, c, c.kept())
	resp.Request = r
	c.Lower(lower.only())
	c.Open(header)
	return resp, nil
}

// checkUpgrade reports once that the base opens WebSockets that nobody watches: resp answers a
// request that did not ask for one.
func (i *Instrumentation) checkUpgrade(resp *http.Response) {
	if resp.StatusCode != http.StatusSwitchingProtocols || !upgrade.Switches(resp.StatusCode, upgrade.Canonical(resp.Header)) {
		return
	}
	if r := resp.Request; r != nil {
		for c := range connectionsFrom(r.Context()) {
			if c.side.role == client && sameProvider(c.side.in, i) { // of a Transport inside the base
				return
			}
		}
	}
	if !i.closed.Load() && !i.ownUpgrade.Swap(true) {
		otel.Handle(errOwnUpgrade)
	}
}

var errOwnUpgrade = errors.New("otelws: the RoundTripper in Transport opens WebSockets by itself, so they are not watched: put Transport inside it, or let it dial with DialContext")

// lowerConn is the connection of a request, which http.Transport hides under the body of the response.
// It is not known if there were several: base may send a request twice, also concurrently.
type lowerConn struct {
	mu  sync.Mutex
	all []net.Conn
}

func (l *lowerConn) got(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, nc)
}

// only returns the connection, or nil if it is not known.
func (l *lowerConn) only() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) != 1 {
		return nil
	}
	return l.all[0]
}

// CloseIdleConnections implements the method that [http.Client.CloseIdleConnections] calls.
func (t *transport) CloseIdleConnections() {
	base := t.base
	if base == nil {
		base = http.DefaultTransport
	}
	if c, ok := base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// dialsFor reports whether ctx belongs to a request that a Transport already watches.
func (i *Instrumentation) dialsFor(ctx context.Context) bool {
	c := connectionFrom(ctx) // in a proxy, this may be an accepted connection
	return c != nil && c.side.role == client && !c.isOver() && sameProvider(c.side.in, i)
}
