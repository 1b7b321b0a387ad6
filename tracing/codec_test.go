package tracing

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

var sample = carrier{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", `a=1,b="2`}

func TestInjectJSON(t *testing.T) {
	c := carrier{traceparent: sample.traceparent}
	in := `"traceparent":"` + c.traceparent + `"`
	for doc, want := range map[string]string{
		`{}`:                       `{` + in + `}`,
		` { } `:                    ` {` + in + ` } `,
		"{\n \"z\":1, \"a\" : []}": `{` + in + ",\n \"z\":1, \"a\" : []}",
		`{"traceparent" : null}`:   `{"traceparent" : "` + c.traceparent + `"}`,
		`{"trace\u0070arent":"x"}`: `{"trace\u0070arent":"` + c.traceparent + `"}`,
		`{"tracestate":"x=1"}`:     `{` + in + `,"tracestate":""}`,
		`{"traceparent":1,"a":2,"traceparent":{}}`: `{` + in + `,"a":2,` + in + `}`,
		`[]`: `[]`, `{`: `{`, ``: ``, `{} {}`: `{} {}`, `{"a":01}`: `{"a":01}`, `{"a":1,}`: `{"a":1,}`,
	} {
		if got := string(injectJSON([]byte(doc), c)); got != want {
			t.Errorf("%s\n got %s\nwant %s", doc, got, want)
		}
	}
	deep := `{"a":` + strings.Repeat("[", maxJSONDepth) + strings.Repeat("]", maxJSONDepth) + `}`
	if got := string(injectJSON([]byte(deep), c)); got != deep {
		t.Error("context in a document that is too deep")
	}
}

func FuzzJSON(f *testing.F) {
	for _, doc := range []string{`{}`, `{"a":[1,-2.5e+3,true,null,"\ud83d"]}`, `{"tracestate":"q","traceparent":"x","traceparent":""}`,
		`{"trace\u0070arent":{"traceparent":1}}`, "{\"a\x80\":0}", `{"a":"\u00G0"}`, ` {"":{}} `} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var before map[string]any
		isObject := json.Unmarshal(doc, &before) == nil && before != nil
		got := injectJSON(doc, sample)
		if m := findMembers(doc); m.object != isObject {
			if isObject && bytes.Count(doc, []byte("["))+bytes.Count(doc, []byte("{")) > maxJSONDepth {
				return
			}
			t.Fatalf("%q: object %v, encoding/json says %v", doc, m.object, isObject)
		}
		if !isObject {
			if !bytes.Equal(got, doc) {
				t.Fatalf("%q became %q", doc, got)
			}
			return
		}
		var after map[string]any
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q became %q: %v", doc, got, err)
		}
		want := maps.Clone(before)
		want[traceparentKey], want[tracestateKey] = sample.traceparent, sample.tracestate
		if !reflect.DeepEqual(after, want) {
			t.Fatalf("%q became %q", doc, got)
		}
		if c := extractJSON(got); c != sample {
			t.Fatalf("extracted %v", c)
		}
		_, hadParent := before[traceparentKey]
		_, hadState := before[tracestateKey]
		if front := findMembers(doc).front; !hadParent && !hadState && (!bytes.HasPrefix(got, doc[:front]) || !bytes.HasSuffix(got, doc[front:])) {
			t.Fatalf("%q became %q", doc, got)
		}
		// extractJSON finds the same as encoding/json, if the value is not too long.
		c := extractJSON(doc)
		if p, ok := before[traceparentKey].(string); ok && len(p) <= traceparentLen && utf8.Valid(doc) {
			if c.traceparent != p {
				t.Fatalf("%q: extracted %q", doc, c.traceparent)
			}
		} else if c.traceparent != "" && utf8.Valid(doc) {
			t.Fatalf("%q: extracted %q", doc, c.traceparent)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte("hello"), true)
	f.Add(wrap([]byte("x"), sample), false)
	f.Add([]byte{2, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, state bool) {
		c := sample
		if !state {
			c.tracestate = ""
		}
		message := wrap(b, c)
		payload, tp, ts := unwrap(message)
		if !bytes.Equal(payload, b) || string(tp) != c.traceparent || string(ts) != c.tracestate {
			t.Fatalf("%q came back as %q, %q, %q", b, payload, tp, ts)
		}
		if utf8.Valid(b) != utf8.Valid(message) {
			t.Fatal("the envelope changes whether a message is UTF-8")
		}
		if payload, _, _ := unwrap(wrap(b, carrier{})); !bytes.Equal(payload, b) {
			t.Fatalf("%q came back as %q", b, payload)
		}
		if payload, tp, ts := unwrap(b); !bytes.HasSuffix(b, payload) || len(tp)+len(ts) > traceparentLen+maxTracestateLen {
			t.Fatalf("%q has payload %q, context %q %q", b, payload, tp, ts)
		}
	})
}

func TestSubprotocols(t *testing.T) {
	for chosen, want := range map[string]string{
		"": "", "chat": "chat", "otelws.trace.v1": "", "otelws.trace.v1+chat": "chat", "OTELWS.trace.v1+chat": "chat", "otelws.trace.v12": "otelws.trace.v12",
	} {
		if got := ApplicationSubprotocol(chosen); got != want {
			t.Errorf("%q is %q, want %q", chosen, got, want)
		}
	}
}
