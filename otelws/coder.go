package otelws

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// Accept is like [websocket.Accept], and watches the connection. Use it in a handler that has no
// [Instrumentation.Handler] around it. Inside a Handler, it does not count a second time. It
// returns the results and errors of websocket.Accept unchanged.
func (i *Instrumentation) Accept(w http.ResponseWriter, r *http.Request, opts *websocket.AcceptOptions) (*websocket.Conn, error) {
	if c := i.watching(r); c != nil || !asks(r) || !i.admits() {
		if c != nil {
			c.pass(r)
		}
		return websocket.Accept(w, r, opts)
	}
	rw, r := i.watch(w, r)
	defer rw.finish()
	ws, err := websocket.Accept(rw.withOptional(), r, opts)
	rw.returned = true
	return ws, err
}

// Dial is like [websocket.Dial], through [Instrumentation.Transport]. It returns the results and
// errors of websocket.Dial unchanged. It does not modify opts, nor the HTTP client in opts.
func (i *Instrumentation) Dial(ctx context.Context, url string, opts *websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	var o websocket.DialOptions
	if opts != nil {
		o = *opts
	}
	hc := *http.DefaultClient
	if o.HTTPClient != nil {
		hc = *o.HTTPClient
	}
	hc.Transport = i.Transport(hc.Transport)
	o.HTTPClient = &hc

	return websocket.Dial(ctx, url, &o)
}
