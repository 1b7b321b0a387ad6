package proxy

import (
	"fmt"
	"math"
	"time"
)

// Limits bound what clients can take. The zero value of each is no limit, except
// where it says otherwise.
type Limits struct {
	// Connections is how many connections clients may have open, whatever they do
	// with them, and how many requests may be under way. 0 is as many as the
	// process has descriptors for, less a reserve.
	Connections int
	// ClientConnections is how many of them one client may have. A client is an
	// IPv4 address, or an IPv6 network of IPv6Prefix bits; with 0 of 64.
	ClientConnections int
	IPv6Prefix        int
	// Handshakes and ClientHandshakes are how many requests for a WebSocket a
	// second are passed on, from all clients and from one. As many as in a second
	// may come at once.
	Handshakes, ClientHandshakes float64
	// HeaderBytes is the size of a request's head; with 0 it is 64 KiB. net/http
	// reads 4 KiB more before it refuses.
	HeaderBytes int
	// HandshakeTime is how long a connection may take until its first request is
	// there, TLS included; with 0 it is 10 s.
	HandshakeTime time.Duration
	// Idle is how long a WebSocket, or whatever else is tunnelled, may go without a
	// byte in either direction.
	Idle time.Duration
	// BufferBytes is the memory for large buffers, of all tunnels and responses
	// together; with 0 it is 64 MiB. What finds none left uses a small one of its own.
	BufferBytes int64
	// SocketBytes is the size of the kernel's buffers in which a message waits for a
	// client that reads slowly: of what is sent to it, and of what has come for it.
	// 0 leaves it to the kernel, which gives a busy connection some megabytes.
	SocketBytes int
}

// The defaults.
const (
	defaultIPv6Prefix    = 64
	defaultHeaderBytes   = 64 << 10
	defaultHandshakeTime = 10 * time.Second
	defaultBufferBytes   = 64 << 20
)

// withDefaults returns an error that names what it refuses as the flags have it.
func (l Limits) withDefaults() (Limits, error) {
	switch {
	case l.Connections < 0, l.ClientConnections < 0, l.BufferBytes < 0, l.SocketBytes < 0,
		l.Idle < 0, l.HandshakeTime < 0, l.HeaderBytes < 0:
		return l, fmt.Errorf("a limit is negative: use a positive one, or 0")
	case !(l.Handshakes >= 0 && l.ClientHandshakes >= 0) || math.IsInf(l.Handshakes, 0) || math.IsInf(l.ClientHandshakes, 0):
		return l, fmt.Errorf("a limit on handshakes is no number of them a second: use a positive one, or 0")
	case l.IPv6Prefix < 0 || l.IPv6Prefix > 128:
		return l, fmt.Errorf("a network of IPv6 has a prefix of 1 to 128 bits, not %d", l.IPv6Prefix)
	case l.HeaderBytes > 0 && l.HeaderBytes < 1<<10:
		return l, fmt.Errorf("a head of %d bytes has no room for a handshake: allow 1024 at least", l.HeaderBytes)
	}
	l.IPv6Prefix = orDefault(l.IPv6Prefix, defaultIPv6Prefix)
	l.HeaderBytes = orDefault(l.HeaderBytes, defaultHeaderBytes)
	l.HandshakeTime = orDefault(l.HandshakeTime, defaultHandshakeTime)
	l.BufferBytes = orDefault(l.BufferBytes, defaultBufferBytes)
	if room := descriptorRoom(maxDescriptors()); l.Connections == 0 || l.Connections > room.connections {
		l.Connections = room.connections
	}
	return l, nil
}

func orDefault[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

// room is what a process's descriptors are for.
type room struct {
	connections int // of clients; each may have one to the backend
	idle        int // connections to the backend, between two requests
	lingering   int // that are refused
}

// descriptorRoom shares out a number of descriptors. A part of them is for the
// metrics, for certificates and logs, and for what is being refused.
func descriptorRoom(descriptors int) room {
	r := room{
		idle:      min(max(descriptors/16, 1), idleConns),
		lingering: min(max(descriptors/64, 1), 256),
	}
	reserve := min(max(descriptors/8, 32), 512) + r.lingering
	r.connections = max((descriptors-reserve-r.idle)/2, 1)
	return r
}
