package otelws

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// handshakeKey identifies a handshake in progress, of which a Listener sees the bytes and a Handler
// inside it sees the request. It uses only properties that no middleware changes.
type handshakeKey struct {
	local     string // address
	uri, sent string // RequestURI, and the client's random key
}

func handshakeKeyOf(local net.Addr, r *http.Request) handshakeKey {
	return handshakeKey{textOf(local), r.RequestURI, r.Header.Get("Sec-WebSocket-Key")}
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

// of returns the handshake of r that a Listener of i's provider watches, or nil.
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

// takeOver makes a Listener that watches r leave it to a Handler, because the Handler knows more
// about it.
func (i *Instrumentation) takeOver(r *http.Request) {
	if c := listened.of(r, i); c != nil {
		c.Discard()
		c.finish()
	}
}
