// Package writer gives a wrapper around an http.ResponseWriter the optional
// methods of the writer beneath it: each that this one has, and no other.
package writer

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

//go:generate go run generate.go

// Full is a wrapper with every optional method. What a method calls that the
// writer beneath has not does not matter: [Narrow] hides it.
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

// HeaderNow is the method of gin's writer that sends the header which
// WriteHeader has only taken note of. Other libraries look for it, as
// coder/websocket does.
type HeaderNow interface{ WriteHeaderNow() }

// Of these net/http exports no interface, or has deprecated it.
type (
	flushErrorer  interface{ FlushError() error }
	closeNotifier interface{ CloseNotify() <-chan bool }
	controlled    interface {
		SetReadDeadline(deadline time.Time) error
		SetWriteDeadline(deadline time.Time) error
		EnableFullDuplex() error
	}
)

// Narrow returns an [http.ResponseWriter] that has Unwrap, and of the other
// optional methods of full those that beneath has.
//
// An exception are the deadlines and EnableFullDuplex, which it has where
// beneath has all the methods of net/http's own writer: in other writers
// [http.ResponseController], the one way to call them, finds them by Unwrap.
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

// full is what the types of the sets are made of.
type full struct{ to Full }
