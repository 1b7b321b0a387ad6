package tap

import (
	"iter"
	"net"
)

// Of yields the Recorders of the taps of nc and of the connections beneath it, the outermost first.
// nc may be the connection of a library.
func Of(nc net.Conn) iter.Seq[Recorder] {
	return func(yield func(Recorder) bool) {
		for c := range layers(nc) {
			if t, ok := c.(interface{ tapped() *Conn }); ok {
				if conn := t.tapped(); conn != nil && !yield(conn.recorder) {
					return
				}
			}
		}
	}
}

func (h *held) tapped() *Conn { return h.conn }

func (w *Wire) tapped() *Conn {
	if h := w.current(); h != nil {
		return h.conn
	}
	return nil
}

// layers yields nc and the connections beneath it, as far as they are known: by NetConn, as in
// crypto/tls and the libraries, or by UnsafeConn, as in fasthttp.
func layers(nc net.Conn) iter.Seq[net.Conn] {
	return func(yield func(net.Conn) bool) {
		for range 16 { // the chain may be a loop
			if nc == nil || !yield(nc) {
				return
			}
			nc = beneath(nc)
		}
	}
}

// beneath returns the connection beneath nc, or nil. The method of an application's own type may
// panic, for example before its first Read.
func beneath(nc net.Conn) (inner net.Conn) {
	defer func() {
		if recover() != nil {
			inner = nil
		}
	}()
	switch c := nc.(type) {
	case interface{ NetConn() net.Conn }:
		return c.NetConn()
	case interface{ UnsafeConn() net.Conn }:
		return c.UnsafeConn()
	}
	return nil
}

// Skip makes the Wires beneath nc ignore the next handshake, if watched returns true for their Door.
// Something else watches it then.
func Skip(nc net.Conn, watched func(Door) bool) {
	for c := range layers(nc) {
		if w := wireOf(c); w != nil && watched(w.door) {
			w.mu.Lock()
			w.skip = true
			w.mu.Unlock()
		}
	}
}

// Under reports whether nc is on top of a Wire with a Door for which is returns true.
func Under(nc net.Conn, is func(Door) bool) bool {
	for c := range layers(nc) {
		if w := wireOf(c); w != nil && is(w.door) {
			return true
		}
	}
	return false
}

func wireOf(nc net.Conn) *Wire {
	switch w := nc.(type) {
	case *Wire:
		return w
	case closeWriterWire:
		return w.Wire
	case tlsWire:
		return w.Wire
	}
	return nil
}
