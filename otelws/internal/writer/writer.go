// Package writer gives a wrapper around an http.ResponseWriter exactly the optional methods that
// the wrapped writer has.
package writer

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

//go:generate go run generate.go

// Full is a wrapper with every optional method. [Narrow] hides methods that the wrapped writer does
// not have, so these are never called.
type Full interface {
	http.ResponseWriter
	Unwrap() http.ResponseWriter

	Flush()
	FlushError() error
	Hijack() (net.Conn, *bufio.ReadWriter, error)
	CloseNotify() <-chan bool
	ReadFrom(r io.Reader) (int64, error)
	WriteString(s string) (int, error)
	Push(target string, opts *http.PushOptions) error
	WriteHeaderNow()

	SetReadDeadline(deadline time.Time) error
	SetWriteDeadline(deadline time.Time) error
	EnableFullDuplex() error
}

// HeaderNow is implemented by gin's writer. It sends the header, which WriteHeader has only
// recorded. Other libraries, such as coder/websocket, check for this method.
type HeaderNow interface{ WriteHeaderNow() }

// net/http does not export these interfaces, or has deprecated them.
type (
	flushErrorer  interface{ FlushError() error }
	closeNotifier interface{ CloseNotify() <-chan bool }
	controlled    interface {
		SetReadDeadline(deadline time.Time) error
		SetWriteDeadline(deadline time.Time) error
		EnableFullDuplex() error
	}
)

// Narrow returns an [http.ResponseWriter] with Unwrap, and with the optional methods of full that
// beneath has.
//
// The deadlines and EnableFullDuplex are an exception: the result has them only if beneath has all
// methods of net/http's own writer. For other writers, [http.ResponseController] finds them through
// Unwrap, which is the only way to call them.
func Narrow(full Full, beneath http.ResponseWriter) http.ResponseWriter {
	set := methodsOf(beneath)
	if set&ofNetHTTP == ofNetHTTP {
		if _, ok := beneath.(controlled); ok {
			return withControl(full, set)
		}
	}
	return with(full, set)
}

// methods is a set of optional methods.
type methods uint

const (
	flush methods = 1 << iota
	flushError
	hijack
	closeNotify
	readFrom
	writeString
	push
	writeHeaderNow

	ofNetHTTP = flush | flushError | hijack | closeNotify | readFrom | writeString
)

func methodsOf(w http.ResponseWriter) (set methods) {
	if _, ok := w.(http.Flusher); ok {
		set |= flush
	}
	if _, ok := w.(flushErrorer); ok {
		set |= flushError
	}
	if _, ok := w.(http.Hijacker); ok {
		set |= hijack
	}
	if _, ok := w.(closeNotifier); ok {
		set |= closeNotify
	}
	if _, ok := w.(io.ReaderFrom); ok {
		set |= readFrom
	}
	if _, ok := w.(io.StringWriter); ok {
		set |= writeString
	}
	if _, ok := w.(http.Pusher); ok {
		set |= push
	}
	if _, ok := w.(HeaderNow); ok {
		set |= writeHeaderNow
	}
	return set
}

// full is the underlying type of all generated types.
type full struct{ to Full }
