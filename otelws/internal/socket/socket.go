// Package socket asks the kernel about the socket of a transport.
package socket

import (
	"net"
	"time"
)

// Progress is the progress of a socket's data, from the kernel. While the socket is open, its
// numbers only grow.
type Progress struct {
	Acked    uint64 // bytes that the peer's kernel has acknowledged
	Written  uint64 // bytes written, acknowledged or not
	Received uint64 // bytes received, read or not
	Full     bool   // the peer can hardly send more before this side reads
}

// TCP is the kernel's state of a TCP socket.
type TCP struct {
	RTT, MinRTT  time.Duration
	Retransmits  uint32 // retransmitted segments
	Unacked      uint32 // segments sent and not acknowledged
	Unsent       uint32 // bytes written and not sent
	Acked        uint64 // bytes that the peer has acknowledged
	PeerWindow   uint32 // bytes that the peer can still accept
	LastReceived time.Duration
	PeerGone     bool // the peer has closed or reset the connection
}

// netConner is implemented by connections that wrap another one, such as [crypto/tls.Conn].
type netConner interface{ NetConn() net.Conn }
