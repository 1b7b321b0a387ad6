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

// ofEngine reports whether nc belongs to nbio's own engine. The engine reads the socket itself, and
// passes the data to a library that recognises nc by its type. With a wrapper around nc, the library
// would get no data.
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

// calledByEngine reports whether nbio's engine accepts a connection. The engine closes connections
// of other types than the standard library's.
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

var errEngine = errors.New("otelws: connections of nbio's own engine cannot be watched: use nbio's Upgrader in a net/http server")

// tellOfEngine reports once that connections pass unwatched.
var tellOfEngine = sync.OnceFunc(func() { otel.Handle(errEngine) })
