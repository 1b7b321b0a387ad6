package otelws

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// handshakeKey tells the handshakes that are under way at one time apart, of which
// a Listener sees the bytes and a Handler within it the request. It is made of what
// no middleware changes.
type handshakeKey struct {
	local     string // address
	uri, sent string // RequestURI, and the client's random key
}

func handshakeKeyOf(local net.Addr, r *http.Request) handshakeKey {
	return handshakeKey{local.String(), r.RequestURI, r.Header.Get("Sec-WebSocket-Key")}
}

// listened are the handshakes under way that Listeners watch.
var listened handshakes

type handshakes struct {
	mu  sync.Mutex
	all map[handshakeKey][]*connection
}

func (l *handshakes) add(k handshakeKey, c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[handshakeKey][]*connection)
	}
	l.all[k] = append(l.all[k], c)
}

func (l *handshakes) remove(k handshakeKey, c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rest := slices.DeleteFunc(l.all[k], func(other *connection) bool { return other == c }); len(rest) > 0 {
		l.all[k] = rest
	} else {
		delete(l.all, k)
	}
}

// of returns a handshake that is r, and that i is to watch instead: nil where no
// Listener of its provider watches it.
func (l *handshakes) of(r *http.Request, i *Instrumentation) *connection {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return nil
	}
	for _, c := range l.all[handshakeKeyOf(local, r)] {
		if sameProvider(c.side.in, i) {
			return c
		}
	}
	return nil
}

// takeOver has a Listener that watches r leave it to a Handler, which knows more of
// it.
func (i *Instrumentation) takeOver(r *http.Request) {
	if c := listened.of(r, i); c != nil {
		c.Discard()
		c.finish()
	}
}
