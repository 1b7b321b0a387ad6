package otelws_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"
)

// host is the way in which a server treats its connection.
type host struct {
	name    string
	accepts bool
	// waits is true if the connection lasts until the client ends it.
	waits bool
	serve func(h *house, w http.ResponseWriter, r *http.Request)
}

// accepted is a handler that accepts a watched connection and passes it to f.
func accepted(f func(h *house, c *websocket.Conn, r *http.Request)) func(*house, http.ResponseWriter, *http.Request) {
	return func(h *house, w http.ResponseWriter, r *http.Request) {
		c, err := h.ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		f(h, c, r)
	}
}

func readAll(ctx context.Context, c *websocket.Conn) {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return
		}
	}
}

var hosts = []host{
	{"echo", true, true, accepted(func(_ *house, c *websocket.Conn, r *http.Request) {
		defer c.CloseNow()
		for {
			typ, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, b) != nil {
				return
			}
		}
	})},
	{"read limit", true, true, accepted(func(_ *house, c *websocket.Conn, r *http.Request) {
		defer c.CloseNow()
		c.SetReadLimit(2)
		readAll(r.Context(), c)
	})},
	{"another goroutine", true, true, accepted(func(_ *house, c *websocket.Conn, _ *http.Request) {
		go func() {
			defer c.CloseNow()
			readAll(context.Background(), c)
		}()
	})},
	{"clean close", true, false, accepted(func(_ *house, c *websocket.Conn, _ *http.Request) {
		c.Close(websocket.StatusGoingAway, "")
	})},
	{"close now", true, false, accepted(func(_ *house, c *websocket.Conn, _ *http.Request) { c.CloseNow() })},
	{"concurrent closes", true, false, accepted(func(_ *house, c *websocket.Conn, _ *http.Request) {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { c.Close(websocket.StatusNormalClosure, "") })
			all.Go(func() { c.CloseNow() })
		}
		all.Wait()
	})},
	{"cancelled read", true, false, accepted(func(_ *house, c *websocket.Conn, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
		defer cancel()
		readAll(ctx, c)
		c.CloseNow()
	})},
	{"cancelled write", true, false, accepted(func(_ *house, c *websocket.Conn, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
		defer cancel()
		for c.Write(ctx, websocket.MessageBinary, make([]byte, 1<<20)) == nil {
		}
		c.CloseNow()
	})},
	{"fan-out", true, false, accepted(func(_ *house, c *websocket.Conn, r *http.Request) {
		// Beside a reader, the writer ends the connection as soon as a write fails.
		ctx, cancel := context.WithTimeout(r.Context(), 20*time.Millisecond)
		defer cancel()
		go readAll(context.Background(), c)
		for c.Write(ctx, websocket.MessageText, []byte("tick")) == nil {
		}
		c.CloseNow()
	})},
	{"write only", true, false, accepted(func(_ *house, c *websocket.Conn, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 20*time.Millisecond)
		defer cancel()
		for c.Write(ctx, websocket.MessageText, []byte("tick")) == nil {
		}
		c.CloseNow()
	})},
	{"panic", true, false, accepted(func(_ *house, c *websocket.Conn, _ *http.Request) {
		defer c.CloseNow()
		panic(http.ErrAbortHandler)
	})},
	{"panic without close", true, false, accepted(func(h *house, c *websocket.Conn, _ *http.Request) {
		h.hold(func() { c.CloseNow() })
		panic(http.ErrAbortHandler)
	})},
	{"abandoned", true, false, accepted(func(h *house, c *websocket.Conn, _ *http.Request) {
		h.hold(func() { c.CloseNow() })
	})},
	{"hijack fails", false, false, func(h *house, w http.ResponseWriter, r *http.Request) {
		h.ws.Accept(noHijack{w}, r, nil)
	}},
	{"refused", false, false, func(h *house, w http.ResponseWriter, r *http.Request) {
		h.ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "who are you?", http.StatusUnauthorized)
		})).ServeHTTP(w, r)
	}},
}

type noHijack struct{ http.ResponseWriter }

func (noHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("no")
}

// guest is the way in which a client treats its connection.
type guest struct {
	name string
	// stays is true if the client leaves the connection open.
	stays bool
	visit func(c *websocket.Conn, nc *net.TCPConn)
}

var guests = []guest{
	{"clean close", false, func(c *websocket.Conn, _ *net.TCPConn) {
		c.Close(websocket.StatusNormalClosure, "")
	}},
	{"talk", false, func(c *websocket.Conn, _ *net.TCPConn) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		for range 3 {
			if c.Write(ctx, websocket.MessageText, []byte("hello")) != nil {
				break
			}
			if _, _, err := c.Read(ctx); err != nil {
				break
			}
		}
		c.Close(4000, "enough")
	}},
	{"close now", false, func(c *websocket.Conn, _ *net.TCPConn) { c.CloseNow() }},
	{"reset", false, func(_ *websocket.Conn, nc *net.TCPConn) {
		nc.SetLinger(0)
		nc.Close()
	}},
	{"half a frame", false, func(_ *websocket.Conn, nc *net.TCPConn) {
		nc.Write([]byte{0x82, 0xff, 0, 0, 0, 0})
		nc.Close()
	}},
	{"garbage", false, func(_ *websocket.Conn, nc *net.TCPConn) {
		io.WriteString(nc, "GET / HTTP/1.1\r\n\r\n")
		io.Copy(io.Discard, nc)
		nc.Close()
	}},
	{"half close", false, func(_ *websocket.Conn, nc *net.TCPConn) { nc.CloseWrite() }},
	{"idle", true, func(*websocket.Conn, *net.TCPConn) {}},
}

// visit opens a connection between host and guest. If both leave it open, it stays so
// until release.
func (h *house) visit(t *rapid.T, host host, guest guest, tier string) {
	var nc *net.TCPConn
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			nc = c.(*net.TCPConn)
		}
		return c, err
	}}
	if !host.waits {
		h.acting.Add(1)
	}
	query := url.Values{"host": {host.name}, "tier": {tier}}
	c, _, err := websocket.Dial(context.Background(), h.server.URL+"?"+query.Encode(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		if host.accepts {
			t.Errorf("server %s: dial: %v", host.name, err)
		}
		transport.CloseIdleConnections()
		return
	}
	if !host.accepts { // the 101 went out before the hijack failed
		c.CloseNow()
		return
	}
	if !host.waits { // the server may be gone and not answer a close frame
		if !guest.stays {
			defer time.AfterFunc(20*time.Millisecond, func() { nc.Close() }).Stop()
		}
	}
	// The client answers a close frame, so that no server waits for it. It does not use
	// CloseRead, in which coder/websocket 1.8.15 waits 15 seconds for itself if a
	// message comes.
	if guest.stays {
		c.SetReadLimit(-1)
		go readAll(context.Background(), c)
	}
	guest.visit(c, nc)
	leave := func() { c.CloseNow() }
	if host.waits && guest.stays {
		h.hold(leave)
		return
	}
	if guest.stays {
		h.lease(leave)
		return
	}
	c.CloseNow()
	nc.Close()
}
