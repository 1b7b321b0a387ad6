package socket

import (
	"math"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Asked reports whether this system supports the package.
const Asked = true

// maxPeek is the maximum number of bytes that Peek shows.
const maxPeek = 64 << 10

var buffers = sync.Pool{New: func() any { return new([maxPeek]byte) }}

// Peek calls look with the unread data in the kernel's buffer, without reading it, if there is any.
// transport must be a TCP or Unix socket itself; otherwise Peek does nothing. look must not keep
// its argument.
func Peek(transport any, look func([]byte)) {
	var sc syscall.Conn
	switch t := transport.(type) {
	case *net.TCPConn:
		sc = t
	case *net.UnixConn:
		sc = t
	default:
		return
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return
	}
	buf := buffers.Get().(*[maxPeek]byte)
	defer buffers.Put(buf)
	n := 0
	// RawConn.Read would wait for a Read in progress; Control does not.
	_ = rc.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	if n > 0 {
		look(buf[:n])
	}
}

// ProgressOf returns the progress of the TCP socket below transport. ok is false if there is none,
// or it is closed.
func ProgressOf(transport any) (p Progress, ok bool) {
	rc := find(transport)
	if rc == nil {
		return p, false
	}
	_ = rc.Control(func(fd uintptr) {
		// The queue is read first. An acknowledgement between the two calls can then only make
		// Written too large.
		queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		if err != nil {
			return
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		p = Progress{
			Acked: info.Bytes_acked, Written: info.Bytes_acked + uint64(queued),
			Received: info.Bytes_received, Full: isFull(int(fd)),
		}
		ok = true
	})
	return p, ok
}

// isFull reports whether unread data takes much of the receive buffer. The kernel also counts its
// overhead, and closes the window when about half of the buffer is data.
func isFull(fd int) bool {
	unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil {
		return false
	}
	buffer, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return err == nil && unread >= buffer/4
}

// TCPOf returns the kernel's state of the TCP socket below transport. ok is false if there is none,
// or it is closed.
func TCPOf(transport any) (t TCP, ok bool) {
	rc := find(transport)
	if rc == nil {
		return t, false
	}
	_ = rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		t = TCP{
			RTT:          time.Duration(info.Rtt) * time.Microsecond,
			Retransmits:  info.Total_retrans,
			Unacked:      info.Unacked,
			Unsent:       info.Notsent_bytes,
			Acked:        info.Bytes_acked,
			PeerWindow:   info.Snd_wnd,
			LastReceived: time.Duration(info.Last_data_recv) * time.Millisecond,
			PeerGone:     peerGone(info.State),
		}
		if info.Min_rtt != math.MaxUint32 { // otherwise it is not measured yet
			t.MinRTT = time.Duration(info.Min_rtt) * time.Microsecond
		}
		ok = true
	})
	return t, ok
}

// peerGone reports whether a socket in state is one that the peer has closed or reset.
func peerGone(state uint8) bool {
	switch state {
	case unix.BPF_TCP_CLOSE, unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_LAST_ACK, unix.BPF_TCP_CLOSING, unix.BPF_TCP_TIME_WAIT:
		return true
	}
	return false
}

// room is more than a control frame needs in a send buffer.
const room = 8 << 10

// Writable reports whether a few bytes can be written to the TCP socket below transport without
// blocking. If that is unknown, it returns true.
func Writable(transport any) bool {
	rc := find(transport)
	if rc == nil {
		return true
	}
	writable := true
	_ = rc.Control(func(fd uintptr) {
		queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		if err != nil {
			return // the write will report the error
		}
		if buffer, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF); err == nil {
			writable = queued+queued/2+room < buffer // the kernel also counts its overhead
		}
	})
	return writable
}

// find returns the socket below transport, or nil. The methods of an application's own transport may
// panic, for example before its first Read.
func find(transport any) (rc syscall.RawConn) {
	defer func() {
		if recover() != nil {
			rc = nil
		}
	}()
	for range 8 { // limits a chain that contains itself
		switch t := transport.(type) {
		case syscall.Conn:
			rc, err := t.SyscallConn()
			if err != nil {
				return nil
			}
			return rc
		case netConner:
			transport = t.NetConn()
		default:
			return nil
		}
	}
	return nil
}
