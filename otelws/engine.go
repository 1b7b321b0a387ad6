package otelws

import (
	"errors"
	"net"
	"reflect"
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
	return strings.HasPrefix(t.PkgPath(), "github.com/lesismal/")
}

var errEngine = errors.New("otelws: the connections of nbio's own engine cannot be watched: serve them by net/http, which nbio's Upgrader takes too")

// tellOfEngine tells once that connections pass unwatched.
var tellOfEngine = sync.OnceFunc(func() { otel.Handle(errEngine) })
