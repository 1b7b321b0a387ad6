// Package socket asks the kernel about the socket beneath a transport.
package socket

import "net"

// Progress is how far the bytes of a socket have got, as its kernel knows. Each
// number only grows, as long as the socket is open.
type Progress struct {
	Acked    uint64 // bytes sent that the peer's kernel has taken
	Written  uint64 // bytes sent, whether or not the peer's kernel has taken them
	Received uint64 // bytes received, whether or not they have been read
}

// netConner is how a connection gives the one beneath it, as [crypto/tls.Conn]
// does.
type netConner interface{ NetConn() net.Conn }
