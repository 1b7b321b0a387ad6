package otelws

import (
	"context"
	"iter"
	"net"

	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// connectionKey is the key of the *connection in a request's context.
type connectionKey struct{}

func connectionFrom(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// connectionsFrom returns the connections of the request with context ctx, one for each MeterProvider.
func connectionsFrom(ctx context.Context) iter.Seq[*connection] {
	return func(yield func(*connection) bool) {
		for c := connectionFrom(ctx); c != nil && yield(c); c = c.outer {
		}
	}
}

// connectionsOn returns the connections that are watched on nc.
func connectionsOn(nc net.Conn) iter.Seq[*connection] {
	return func(yield func(*connection) bool) {
		for recorder := range tap.Of(nc) {
			if !yield(recorder.(*connection)) {
				return
			}
		}
	}
}
