package otelws

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// Attribute names. They follow the semantic conventions if those have a name.
const (
	keyCode        = attribute.Key("code")
	keyInitiator   = attribute.Key("initiator")
	keyOpcode      = attribute.Key("opcode")
	keyDirection   = attribute.Key("network.io.direction")
	keyOutcome     = attribute.Key("outcome")
	keyErrorType   = attribute.Key("error.type")
	keyStatus      = attribute.Key("http.response.status_code")
	keyRoute       = attribute.Key("http.route")
	keySubprotocol = attribute.Key("subprotocol")
	keyKind        = attribute.Key("kind")
)

// OtherValue is the value of an attribute for everything that its enumeration does not declare.
const OtherValue = "other"

// NoSubprotocol is the value of the attribute subprotocol for connections without one.
const NoSubprotocol = "none"

// opcodes are the values of the attribute opcode, in the order of [count.Opcodes].
var opcodes = [len(count.Opcodes)]string{"continuation", "text", "binary", "close", "ping", "pong"}

// directionNames are the values of the attribute network.io.direction.
var directionNames = [count.Directions]string{count.Receive: "receive", count.Transmit: "transmit"}

// drainOutcomes are the values of the attribute outcome.
var drainOutcomes = [...]string{drainClosed: "closed", drainCut: "cut"}

// errorTypes are the values of the attribute error.type: the violations of RFC 6455, and a fault of
// the tap.
var errorTypes = func() []string {
	var names []string
	for _, e := range frame.Errors {
		names = append(names, e.String())
	}
	return append(names, "internal")
}()

// internalError is the index in errorTypes of a fault of the tap. After a fault, the tap does not
// parse that connection any more.
var internalError = len(errorTypes) - 1

// errorType returns the index of a violation in errorTypes.
func errorType(e frame.Error) int { return slices.Index(frame.Errors, e) }

// statuses are the values of the attribute http.response.status_code: the statuses that matter for
// handshakes. 0 means no response. Any other status is recorded as the x00 of its class, as RFC
// 9110 section 15 allows.
var statuses = [...]int{0, 101, 200, 300, 400, 401, 403, 404, 426, 429, 500, 501, 502, 503, 504}

// foldStatus returns the index of an HTTP status in statuses.
func foldStatus(status int) int {
	if i := slices.Index(statuses[:], status); i >= 0 {
		return i
	}
	if i := slices.Index(statuses[:], status/100*100); i >= 0 {
		return i
	}
	return 0
}
