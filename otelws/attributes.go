package otelws

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
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

var drainOptions = [len(drainOutcomes)]options{
	newOptions(keyOutcome.String(drainOutcomes[drainClosed])),
	newOptions(keyOutcome.String(drainOutcomes[drainCut])),
}

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

// enum is an attribute with a closed set of values.
type enum struct {
	key    attribute.Key
	values []string // the last is OtherValue
	index  map[string]int
	of     func(*handshake) string

	server   bool // only for accepted connections
	settable bool // by SetAttribute
}

const maxValue = 128

var attributeName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z][a-zA-Z0-9_]*)*$`)

// reservedLabels are labels of Prometheus itself.
var reservedLabels = []string{"le", "quantile", "job", "instance"}

func newEnum(key attribute.Key, of func(*handshake) string, values []string) (*enum, error) {
	if !attributeName.MatchString(string(key)) {
		return nil, fmt.Errorf("invalid attribute name %q: use letters, digits and _, in parts that begin with a letter and are joined by dots", key)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("attribute %s: declare at least one value", key)
	}
	e := &enum{key: key, of: of, index: make(map[string]int, len(values)+1)}
	for _, v := range append(slices.Clone(values), OtherValue) {
		switch {
		case v == "":
			return nil, fmt.Errorf("attribute %s: an empty value cannot be declared, because Prometheus treats it as a missing label", key)
		case !utf8.ValidString(v):
			return nil, fmt.Errorf("attribute %s: value %q is not valid UTF-8", key, v)
		case len(v) > maxValue:
			return nil, fmt.Errorf("attribute %s: value %.20q... is longer than %d bytes", key, v, maxValue)
		}
		if _, ok := e.index[v]; !ok {
			e.index[v] = len(e.values)
			e.values = append(e.values, v)
		}
	}
	return e, nil
}

// fold returns the index of v in values, or the index of OtherValue.
func (e *enum) fold(v string) int {
	if i, ok := e.index[v]; ok {
		return i
	}
	return e.index[OtherValue]
}

// evaluate returns the index of h's value in values. If the application's function panics, the
// panic is reported, and the value is OtherValue: a panic must not end the connection.
func (e *enum) evaluate(h *handshake) (i int) {
	if v, ok := h.values[e.key]; ok {
		return e.fold(v)
	}
	if e.of == nil {
		return e.fold(OtherValue)
	}
	defer func() {
		if r := recover(); r != nil {
			otel.Handle(fmt.Errorf("otelws: attribute %s: its function panicked: %v", e.key, r))
			i = e.fold(OtherValue)
		}
	}()
	return e.fold(e.of(h))
}

// checkLabels returns an error if two attributes would have the same Prometheus label.
func (c *config) checkLabels() error {
	users := make(map[string]string) // by label
	for _, l := range reservedLabels {
		users[l] = "Prometheus itself"
	}
	if c.kinds != nil {
		users[label(keyKind)] = "WithMessageKinds"
	}
	for _, k := range []attribute.Key{keyCode, keyInitiator, keyOpcode, keyDirection, keyErrorType, keyOutcome, keyStatus} {
		users[label(k)] = fmt.Sprintf("the attribute %s of otelws", k)
	}
	for _, e := range c.enums {
		l := label(e.key)
		switch user := "your attribute " + string(e.key); users[l] {
		case "":
			users[l] = user
		case user:
			return fmt.Errorf("attribute %s is declared twice: declare it once, with all its values", e.key)
		default:
			return fmt.Errorf("attribute %s: its Prometheus label %s is already in use by %s: choose another name", e.key, l, users[l])
		}
	}
	return nil
}

var underscores = regexp.MustCompile(`_+`)

// label returns the Prometheus label of an attribute.
func label(k attribute.Key) string {
	return underscores.ReplaceAllString(strings.ReplaceAll(string(k), ".", "_"), "_")
}

func routeOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return pattern
}
