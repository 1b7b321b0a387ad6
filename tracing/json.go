package tracing

import (
	"bytes"
	"encoding/json"
)

// Limits of the JSON documents that are searched.
const (
	maxJSONSize  = 1 << 20
	maxJSONDepth = 512
)

// span is a range of bytes in a document.
type span struct{ from, to int }

// members holds the positions of the context in a JSON object.
type members struct {
	object bool // the document is a JSON object
	front  int  // position after its opening brace
	empty  bool // the object has no members
	parent []span
	state  []span
}

// mayCarry reports, at low cost, whether a document may have the members.
func mayCarry(doc []byte) bool {
	return len(doc) <= maxJSONSize &&
		(bytes.Contains(doc, []byte(traceparentKey)) || bytes.Contains(doc, []byte(`\u`)))
}

// extractJSON returns the context in a JSON object. If a member appears several times, the last one
// counts, as in encoding/json.
func extractJSON(doc []byte) (c carrier) {
	if !mayCarry(doc) {
		return c
	}
	m := findMembers(doc)
	c.traceparent = lastString(doc, m.parent, traceparentLen)
	c.tracestate = lastString(doc, m.state, maxTracestateLen)
	return c
}

// lastString returns the last value. It returns "" if that is not a string, or is longer than
// limit.
func lastString(doc []byte, values []span, limit int) string {
	if len(values) == 0 {
		return ""
	}
	v := doc[values[len(values)-1].from:values[len(values)-1].to]
	const longest = len(`\u0000`) // the longest form of one character
	if v[0] != '"' || len(v) > longest*limit+2 {
		return ""
	}
	if s, ok := unquote(v); ok && len(s) <= limit {
		return s
	}
	return ""
}

// injectJSON returns doc with the context in it, in a new slice. If doc is not a JSON object, it
// returns doc itself.
func injectJSON(doc []byte, c carrier) []byte {
	if c.traceparent == "" || len(doc) > maxJSONSize {
		return doc
	}
	m := findMembers(doc)
	if !m.object {
		return doc
	}
	b := make([]byte, 0, len(doc)+len(`"traceparent":"","tracestate":"",`)+traceparentLen+2*len(c.tracestate))
	b = append(b, doc[:m.front]...)
	if len(m.parent) == 0 {
		b = append(append(append(b, `"traceparent":"`...), c.traceparent...), '"')
	}
	if len(m.state) == 0 && c.tracestate != "" {
		if len(m.parent) == 0 {
			b = append(b, ',')
		}
		b = append(append(b, `"tracestate":`...), quote(c.tracestate)...)
	}
	if len(b) > m.front && !m.empty {
		b = append(b, ',')
	}
	at := m.front
	parents, states := m.parent, m.state
	for len(parents)+len(states) > 0 {
		var v span
		value := c.traceparent
		if len(states) == 0 || len(parents) > 0 && parents[0].from < states[0].from {
			v, parents = parents[0], parents[1:]
		} else {
			v, states = states[0], states[1:]
			value = c.tracestate
		}
		b = append(append(b, doc[at:v.from]...), quote(value)...)
		at = v.to
	}
	return append(b, doc[at:]...)
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string never fails
	return b
}

func unquote(v []byte) (s string, ok bool) {
	if !bytes.ContainsRune(v, '\\') {
		return string(v[1 : len(v)-1]), true
	}
	return s, json.Unmarshal(v, &s) == nil
}
