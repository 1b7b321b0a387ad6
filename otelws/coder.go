package otelws

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// Accept is [websocket.Accept] for a handler that has no
// [Instrumentation.Handler] around it; inside one it watches no second time.
// Its arguments, its result and its errors are those of websocket.Accept.
func (i *Instrumentation) Accept(w http.ResponseWriter, r *http.Request, opts *websocket.AcceptOptions) (*websocket.Conn, error) {
	if c := i.watching(r); c != nil || !watchable(r) {
		if c != nil {
			c.pass(r)
		}
		return websocket.Accept(w, r, opts)
	}
	rw, r := i.watch(w, r)
	panicked := true
	defer func() { rw.finish(panicked) }()
	ws, err := websocket.Accept(rw.withOptional(), r, opts)
	panicked = false
	return ws, err
}

// Dial is [websocket.Dial] through [Instrumentation.Transport]. Its arguments,
// its results and its errors are those of websocket.Dial; opts and the client
// in it are not changed.
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
