package proxy

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Limits restricts the resources that clients can use. For most fields, 0 means no
// limit. The other fields state their default.
type Limits struct {
	// Connections is the maximum number of open connections of clients, and of
	// requests in progress. The default is the number for which the process has file
	// descriptors, less a reserve.
	Connections int
	// ClientConnections is the maximum number of open connections of one client. A
	// client is an IPv4 address, or an IPv6 network of IPv6Prefix bits (default 64).
	ClientConnections int
	IPv6Prefix        int
	// Handshakes and ClientHandshakes are the maximum numbers of WebSocket handshakes
	// per second, for all clients together and for one client. A burst may be as
	// large as the number for one second.
	Handshakes, ClientHandshakes float64
	// HeaderBytes is the maximum size of a request head. The default is 64 KiB.
	// net/http reads 4 KiB more before it refuses a head.
	HeaderBytes int
	// HandshakeTime is the maximum time until the first request of a connection has
	// arrived, including the TLS handshake. The default is 10 s.
	HandshakeTime time.Duration
	// Idle is the maximum time that a WebSocket, or another tunnel, may stay open
	// without a byte in either direction.
	Idle time.Duration
	// BufferBytes is the memory for the large buffers of all tunnels and responses
	// together. The default is 64 MiB. A tunnel that gets no large buffer uses a
	// small one.
	BufferBytes int64
	// SocketBytes is the size of the kernel's socket buffers in which data waits for
	// a client that reads slowly: the send buffer towards the client and the receive
	// buffer from the backend. With 0 the kernel chooses, and gives a busy connection
	// some megabytes.
	SocketBytes int
}

const (
	defaultIPv6Prefix    = 64
	defaultHeaderBytes   = 64 << 10
	defaultHandshakeTime = 10 * time.Second
	defaultBufferBytes   = 64 << 20
)

// withDefaults returns l with its defaults, or an error if a limit is invalid.
func (l Limits) withDefaults() (Limits, error) {
	switch {
	case l.Connections < 0, l.ClientConnections < 0, l.BufferBytes < 0, l.SocketBytes < 0,
		l.Idle < 0, l.HandshakeTime < 0, l.HeaderBytes < 0:
		return l, errors.New("a limit is negative: use a positive value, or 0 for the default")
	case !(l.Handshakes >= 0 && l.ClientHandshakes >= 0) || math.IsInf(l.Handshakes, 0) || math.IsInf(l.ClientHandshakes, 0):
		return l, errors.New("a limit on handshakes is not a number per second: use a positive number, or 0 for no limit")
	case l.IPv6Prefix < 0 || l.IPv6Prefix > 128:
		return l, fmt.Errorf("the length of an IPv6 prefix is %d: use 1 to 128 bits", l.IPv6Prefix)
	case l.HeaderBytes > 0 && l.HeaderBytes < 1<<10:
		return l, fmt.Errorf("a limit of %d bytes on request heads leaves no room for a handshake: use 1024 or more", l.HeaderBytes)
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

// room divides the file descriptors of a process.
type room struct {
	connections int // of clients; each may need a second one to the backend
	idle        int // connections to the backend that wait for a request
	lingering   int // connections that are being refused
}

// descriptorRoom divides a number of descriptors. It keeps a reserve for the metrics
// listener, for certificates and logs, and for connections that are being refused.
func descriptorRoom(descriptors int) room {
	r := room{
		idle:      min(max(descriptors/16, 1), idleConns),
		lingering: min(max(descriptors/64, 1), 256),
	}
	reserve := min(max(descriptors/8, 32), 512) + r.lingering
	r.connections = max((descriptors-reserve-r.idle)/2, 1)
	return r
}
