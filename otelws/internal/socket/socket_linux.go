package socket

import (
	"math"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Asked says whether the kernel is asked.
const Asked = true

// maxPeek bounds what Peek shows.
const maxPeek = 64 << 10

var buffers = sync.Pool{New: func() any { return new([maxPeek]byte) }}

// Peek calls look with what the kernel holds of transport to be read, without
// reading it, where transport is a TCP or Unix socket itself and there is any.
// look must not keep it.
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
	// Control, since Read would wait behind one in progress.
	_ = rc.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	if n > 0 {
		look(buf[:n])
	}
}

// ProgressOf returns the progress of the TCP socket beneath transport. ok is
// false where none is found, or where it is closed.
func ProgressOf(transport any) (p Progress, ok bool) {
	rc := find(transport)
	if rc == nil {
		return p, false
	}
	_ = rc.Control(func(fd uintptr) {
		// First what is queued: an acknowledgement between the two may then only make
		// Written too great.
		queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		if err != nil {
			return
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		p = Progress{Acked: info.Bytes_acked, Written: info.Bytes_acked + uint64(queued), Received: info.Bytes_received}
		ok = true
	})
	return p, ok
}

// TCPOf returns what the kernel knows of the TCP socket beneath transport. ok is
// false where none is found, or where it is closed.
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
		}
		if info.Min_rtt != math.MaxUint32 { // not measured yet
			t.MinRTT = time.Duration(info.Min_rtt) * time.Microsecond
		}
		ok = true
	})
	return t, ok
}

// room is more than a control frame takes of a send buffer.
const room = 8 << 10

// Writable says whether a few bytes can be written to the TCP socket beneath
// transport at once. It is true where that is not known.
func Writable(transport any) bool {
	rc := find(transport)
	if rc == nil {
		return true
	}
	writable := true
	_ = rc.Control(func(fd uintptr) {
		queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		if err != nil {
			return // an error is to be learnt by writing
		}
		if buffer, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF); err == nil {
			writable = queued+queued/2+room < buffer // the kernel counts its overhead, too
		}
	})
	return writable
}

// find returns the socket beneath transport, nil where there is none.
func find(transport any) syscall.RawConn {
	for range 8 { // a chain that leads to itself has an end too
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
