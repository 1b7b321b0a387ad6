package otelws

import (
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// handshakeKey identifies a handshake in progress, of which a Listener sees the bytes and a Handler
// inside it sees the request. It uses only properties that no middleware changes. A proxy in the same
// process passes them on, and some clients always send the same key, so the connection is compared, too.
type handshakeKey struct{ uri, sent string } // RequestURI, and the client's key

func handshakeKeyOf(r *http.Request) handshakeKey {
	return handshakeKey{r.RequestURI, r.Header.Get(upgrade.KeyField)}
}

// textOf returns the text of an address, which a transport may not have.
func textOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// listened holds the handshakes in progress of all Listeners.
var listened handshakes

type handshakes struct {
	mu  sync.Mutex
	all map[handshakeKey][]listening
}

// listening is a handshake of a Listener, and the addresses of its connection.
type listening struct {
	c             *connection
	local, remote string
}

func (l *handshakes) add(k handshakeKey, h listening) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[handshakeKey][]listening)
	}
	l.all[k] = append(l.all[k], h)
}

func (l *handshakes) remove(k handshakeKey, c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rest := slices.DeleteFunc(l.all[k], func(other listening) bool { return other.c == c }); len(rest) > 0 {
		l.all[k] = rest
	} else {
		delete(l.all, k)
	}
}

// of returns the handshake of r that a Listener of i's provider watches, or nil. A server that is not
// net/http, such as the adaptor of fasthttp, does not tell the local address. A middleware may have
// changed the remote address.
func (l *handshakes) of(r *http.Request, i *Instrumentation) *connection {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return nil
	}
	var sameServer *connection
	for _, h := range l.all[handshakeKeyOf(r)] {
		switch {
		case !sameProvider(h.c.side.in, i), ok && h.local != textOf(local):
		case h.remote == r.RemoteAddr:
			return h.c
		case ok && sameServer == nil:
			sameServer = h.c
		}
	}
	return sameServer
}

// listen lets a Handler inside the Listener find the handshake.
func (c *connection) listen(local net.Addr) {
	k := handshakeKeyOf(c.request)
	c.forget = func() { listened.remove(k, c) }
	listened.add(k, listening{c, textOf(local), c.request.RemoteAddr})
}

// takeOver makes a Listener that watches r leave it to a Handler, because the Handler knows more
// about it.
func (i *Instrumentation) takeOver(r *http.Request) {
	if c := listened.of(r, i); c != nil {
		c.Discard()
		c.finish()
	}
}
