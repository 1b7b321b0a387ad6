//go:build unix

package exporter

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isWanted reports whether a client of l waits to be accepted. It waits for one for at most d.
func isWanted(l net.Listener, d time.Duration) (wanted bool, err error) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return false, errors.ErrUnsupported
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false, err
	}
	err = rc.Control(func(fd uintptr) {
		n, pollErr := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(d.Milliseconds()))
		wanted = n > 0 && pollErr == nil
	})
	return wanted, err
}
