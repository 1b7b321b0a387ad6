package tap

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// isTimeout reports whether err is an exceeded deadline, which does not end a connection.
func isTimeout(err error) bool {
	if is(err, syscall.ETIMEDOUT) { // its Timeout is true, but it is final
		return false
	}
	return is(err, os.ErrDeadlineExceeded) || saysTimeout(err)
}

// is is [errors.Is] for an error of a transport. That may be a nil pointer in an interface, whose
// methods panic.
func is(err, target error) (is bool) {
	defer func() { _ = recover() }()
	return errors.Is(err, target)
}

func saysTimeout(err error) (says bool) {
	defer func() { _ = recover() }()
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// isFinal reports whether err ends any transport.
func isFinal(err error) bool {
	for _, final := range []error{io.EOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT} {
		if is(err, final) {
			return true
		}
	}
	return false
}

// initiatorOf returns the initiator of a transport that ended with err.
func initiatorOf(err error) Initiator {
	switch {
	case is(err, syscall.ETIMEDOUT):
		return Timeout
	case is(err, net.ErrClosed):
		return Local
	}
	return Peer
}
