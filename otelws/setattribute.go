package otelws

import (
	"context"
	"fmt"
	"iter"
	"net"

	"go.opentelemetry.io/otel/attribute"
)

// SetAttribute sets the value of an attribute for the connection of the request with context ctx.
// Use it for values that are known only after authentication. [WithEnum] must declare the
// attribute. A value that is not declared is recorded as [OtherValue]. If Instrumentations with
// different MeterProviders wrap the handler, the value is set in each one that declares name. The
// handshake's span gets a declared http.route, too.
//
// Call SetAttribute before the response to the handshake. Then the attributes are final. It returns
// an error, and changes nothing, if the handshake has been answered, if no WithEnum declares name,
// or if ctx does not come from a request inside an [Instrumentation.Handler]. A middleware that
// calls SetAttribute must therefore be inside Handler.
func SetAttribute(ctx context.Context, name, value string) error {
	return setAttribute(connectionsFrom(ctx), name, value,
		"the context does not belong to a WebSocket request inside a Handler: put Handler outside the middleware that calls SetAttribute",
		"call SetAttribute before Accept, Upgrade or WriteHeader")
}

// SetAttributeOn is like [SetAttribute]. Use it if you have the [net.Conn], but not the context of
// the request. nc may be a connection of [Instrumentation.Listener], [Instrumentation.Conn] or
// [Instrumentation.DialContext], a connection that Hijack returned, or a connection of a WebSocket
// library on top of these.
//
//	err := otelws.SetAttributeOn(c.RequestCtx().Conn(), "plan", plan)        // in a handler of fiber
//
// It returns an error, and changes nothing, if nc is not watched, if nc carries no handshake, if no
// [WithEnum] declares name, or if the handshake has been answered.
func SetAttributeOn(nc net.Conn, name, value string) error {
	return setAttribute(connectionsOn(nc), name, value,
		"the connection is not watched, or carries no WebSocket handshake: pass a connection of Listener, Conn, DialContext or Hijack",
		"call SetAttributeOn before the response")
}

// setAttribute sets the attribute name of all connections that declare it. none says why there may
// be no connection, and early when the value must be set.
func setAttribute(all iter.Seq[*connection], name, value, none, early string) error {
	watched, declared, set := false, false, false
	for c := range all {
		watched = true
		if c.side.declares(attribute.Key(name)) {
			declared = true
			set = c.setValue(attribute.Key(name), value) || set
		}
	}
	var reason string
	switch {
	case !watched:
		reason = none
	case !declared:
		reason = "declare it with WithEnum"
	case !set:
		reason = "the handshake has already been answered: " + early
	default:
		return nil
	}
	return fmt.Errorf("otelws: failed to set %s: %s", name, reason)
}
