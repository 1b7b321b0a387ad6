package otelws

import (
	"errors"
	"net"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"go.opentelemetry.io/otel"
)

// ofEngine says whether nc belongs to nbio's own engine, which reads the socket
// itself and hands what it reads to a library that knows nc by its type. With
// another connection in its place the library has nothing to read.
func ofEngine(nc net.Conn) bool {
	t := reflect.TypeOf(nc)
	if t == nil {
		return false
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasPrefix(t.PkgPath(), engines)
}

const engines = "github.com/lesismal/"

// calledByEngine says whether that engine accepts a connection. It closes those that
// are none of the system's own.
func calledByEngine() bool {
	var callers [16]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, engines) {
			return true
		}
		if !more {
			return false
		}
	}
}

var errEngine = errors.New("otelws: the connections of nbio's own engine cannot be watched: serve them by net/http, which nbio's Upgrader takes too")

// tellOfEngine tells once that connections pass unwatched.
var tellOfEngine = sync.OnceFunc(func() { otel.Handle(errEngine) })
