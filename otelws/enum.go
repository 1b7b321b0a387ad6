package otelws

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
)

// enum is an attribute with a closed set of values.
type enum struct {
	key    attribute.Key
	values []string // the last is OtherValue
	index  map[string]int
	of     func(r *http.Request, subprotocol string) string // nil if only SetAttribute gives the value

	server   bool // only for accepted connections
	settable bool // by SetAttribute
}

const maxValue = 128

var attributeName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z][a-zA-Z0-9_]*)*$`)

// reservedLabels are labels of Prometheus itself.
var reservedLabels = []string{"le", "quantile", "job", "instance"}

func newEnum(key attribute.Key, of func(*http.Request, string) string, values []string) (*enum, error) {
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

// evaluate returns the index in values of the value for a handshake. If the application's function
// panics, the panic is reported, and the value is OtherValue: a panic must not end the connection.
func (e *enum) evaluate(r *http.Request, subprotocol string) (i int) {
	if e.of == nil {
		return e.fold(OtherValue)
	}
	defer func() {
		if r := recover(); r != nil {
			otel.Handle(fmt.Errorf("otelws: attribute %s: its function panicked: %v", e.key, r))
			i = e.fold(OtherValue)
		}
	}()
	return e.fold(e.of(r, subprotocol))
}

// checkLabels returns an error if two attributes would have the same Prometheus label. kinds is true
// if the attribute kind exists.
func checkLabels(enums []*enum, kinds bool) error {
	users := make(map[string]string) // by label
	for _, l := range reservedLabels {
		users[l] = "Prometheus itself"
	}
	if kinds {
		users[label(keyKind)] = "WithMessageKinds"
	}
	for _, k := range []attribute.Key{keyCode, keyInitiator, keyOpcode, keyDirection, keyErrorType, keyOutcome, keyStatus} {
		users[label(k)] = fmt.Sprintf("the attribute %s of otelws", k)
	}
	for _, e := range enums {
		l := label(e.key)
		if strings.HasPrefix(l, "otel_") { // such as otel_scope_name and otel_metric_overflow
			return fmt.Errorf("attribute %s: OpenTelemetry reserves names that begin with otel: choose another name", e.key)
		}
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

func enumsOf(r role, all []*enum) []*enum {
	var enums []*enum
	for _, e := range all {
		if r == server || !e.server {
			enums = append(enums, e)
		}
	}
	return enums
}
