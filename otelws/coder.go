package otelws

import (
	"context"
	"io"
	"net/http"
	"reflect"

	"github.com/coder/websocket"
)

// Accept is [websocket.Accept] for a handler that has no
// [Instrumentation.Handler] around it; inside one it watches no second time.
// Its arguments, its result and its errors are those of websocket.Accept.
//
// The connection is known to Heartbeat and to Drain.
func (i *Instrumentation) Accept(w http.ResponseWriter, r *http.Request, opts *websocket.AcceptOptions) (*websocket.Conn, error) {
	i.drain.enter()
	defer i.drain.leave()
	h := watched(i, w, r)
	if h != nil || !watchable(r) {
		if h != nil {
			h.pass(r)
		}
		ws, err := websocket.Accept(w, r, opts)
		return i.accepted(h, ws, err)
	}
	rw, r := i.watch(w, r)
	panicked := true
	defer func() { rw.finish(panicked) }()
	ws, err := websocket.Accept(rw.withOptional(), r, opts)
	panicked = false
	return i.accepted(rw.handshake, ws, err)
}

func (i *Instrumentation) accepted(h *handshake, ws *websocket.Conn, err error) (*websocket.Conn, error) {
	if err == nil && h != nil && h.conn != nil {
		i.adopt(ws, h.conn)
	}
	return ws, err
}

// Dial is [websocket.Dial] through [Instrumentation.Transport]. Its arguments,
// its results and its errors are those of websocket.Dial; opts and the client
// in it are not changed.
//
// The connection is known to Heartbeat and to Drain.
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

	ws, resp, err := websocket.Dial(ctx, url, &o)
	if err != nil {
		return ws, resp, err
	}
	if h := handshakeFrom(resp.Request.Context()); h != nil && h.side.role == client && h.conn != nil {
		i.adopt(ws, h.conn)
	}
	return ws, resp, nil
}

// tapBeneath returns the tap of i's provider that ws stands on, nil where there
// is none.
//
// coder/websocket shows its transport to nobody. To find the connection by the
// context of its request instead, every request would have to be copied, for as
// long as its connection is open.
func (i *Instrumentation) tapBeneath(ws *websocket.Conn) *conn {
	var c *conn
	fields := reflect.ValueOf(ws).Elem()
	for f := range fields.NumField() {
		// No other field is looked at: it might change meanwhile.
		if fields.Type().Field(f).Type != reflect.TypeFor[io.ReadWriteCloser]() {
			continue
		}
		tap := fields.Field(f).Elem()
		for tap.Kind() == reflect.Struct && tap.NumField() > 0 {
			tap = tap.Field(0) // of a netConn, beside a CloseWrite
		}
		if tap.IsValid() && tap.Type() == reflect.TypeFor[*handle]() {
			c = (*handle)(tap.UnsafePointer()).conn
		}
	}
	for c != nil && !sameProvider(c.side.in, i) {
		inner, _ := c.rwc.(interface{ tapped() *conn })
		if inner == nil {
			return nil
		}
		c = inner.tapped()
	}
	return c
}

// adopt makes the connection of ws known to Heartbeat and Drain, for as long as
// it is open.
func (i *Instrumentation) adopt(ws *websocket.Conn, c *conn) {
	if !c.adopt(i, ws) {
		return
	}
	if i.config.heartbeat != nil {
		// It can only fail where the connection has a heartbeat or has ended.
		_ = i.beat(context.Background(), ws, c, i.config.heartbeat)
	}
}

// adopt says whether the connection is open, and ws is its own.
func (c *conn) adopt(i *Instrumentation, ws *websocket.Conn) bool {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.state.Load() != live || l.ws != nil && l.ws != ws {
		return false
	}
	if l.ws == nil {
		l.ws, l.owner = ws, i
		i.conns.Store(ws, c)
		if i.drain.hasBegun() {
			go goAway(ws)
		}
	}
	return true
}
