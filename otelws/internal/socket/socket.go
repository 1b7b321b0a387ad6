// Package socket asks the kernel about the socket beneath a transport.
package socket

import (
	"net"
	"time"
)

// Progress is how far the bytes of a socket have got, as its kernel knows. Each
// number only grows, as long as the socket is open.
type Progress struct {
	Acked    uint64 // bytes sent that the peer's kernel has taken
	Written  uint64 // bytes sent, whether or not the peer's kernel has taken them
	Received uint64 // bytes received, whether or not they have been read
}

// TCP is what the kernel knows of a TCP socket.
type TCP struct {
	RTT, MinRTT  time.Duration
	Retransmits  uint32 // segments sent again so far
	Unacked      uint32 // segments sent that the peer has not acknowledged
	Unsent       uint32 // bytes written that have not been sent
	Acked        uint64 // bytes that the peer has acknowledged
	PeerWindow   uint32 // bytes that the peer has room for
	LastReceived time.Duration
}

// netConner is how a connection gives the one beneath it, as [crypto/tls.Conn]
// does.
type netConner interface{ NetConn() net.Conn }
