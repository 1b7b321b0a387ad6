package messagekind_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

// fuzz passes any bytes to a Reader. The Reader must find a kind, must not change the
// bytes, and must find nothing in the beginning of a message that the whole message
// contradicts.
func fuzz(f *testing.F, name string) {
	for _, r := range readerCases {
		if r.name != name {
			continue
		}
		for _, c := range r.messages {
			f.Add([]byte(c.bytes), c.flags&text != 0, c.flags&client != 0)
		}
		k := declare(f, r.reader, r.declared...)
		f.Fuzz(func(t *testing.T, b []byte, text, client bool) {
			if len(b) > messagekind.DefaultPrefix {
				t.Skip()
			}
			before := bytes.Clone(b)
			m := messagekind.Message{Prefix: b, Whole: true, Text: text, FromClient: client}
			expectBeginnings(t, k, m)
			if !bytes.Equal(b, before) {
				t.Fatalf("%q became %q", before, b)
			}
		})
		return
	}
	f.Fatalf("no reader %s", name)
}

func FuzzJSONMember(f *testing.F)         { fuzz(f, "JSONMember") }
func FuzzGraphQLTransportWS(f *testing.F) { fuzz(f, "graphql-transport-ws") }
func FuzzGraphQLWS(f *testing.F)          { fuzz(f, "graphql-ws") }
func FuzzJSONRPC(f *testing.F)            { fuzz(f, "JSON-RPC") }
func FuzzEngineIO(f *testing.F)           { fuzz(f, "Engine.IO") }
func FuzzSocketIO(f *testing.F)           { fuzz(f, "Socket.IO") }
func FuzzSTOMP(f *testing.F)              { fuzz(f, "STOMP") }
func FuzzMQTT(f *testing.F)               { fuzz(f, "MQTT") }
func FuzzPhoenix(f *testing.F)            { fuzz(f, "Phoenix") }
func FuzzSignalR(f *testing.F)            { fuzz(f, "SignalR") }

// FuzzAgainstEncodingJSON compares JSONMember with encoding/json, on valid JSON.
func FuzzAgainstEncodingJSON(f *testing.F) {
	for _, r := range readerCases {
		for _, c := range r.messages {
			f.Add([]byte(c.bytes))
		}
	}
	declared := []string{"chat", "typing", "7", "true", "ü", "\U0001F600", `a"b`, "\ufffd"}
	k := declare(f, messagekind.JSONMember("type").Within(messagekind.MaxPrefix), declared...)
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) || len(b) > messagekind.MaxPrefix {
			t.Skip()
		}
		want := kindOf(b, declared)
		if got := k.Names()[k.Read(messagekind.Message{Prefix: b, Whole: true, Text: true})]; got != want {
			t.Fatalf("%q is %s, want %s", b, got, want)
		}
	})
}

// kindOf returns the kind of valid JSON according to encoding/json.
func kindOf(doc []byte, declared []string) string {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if open, _ := d.Token(); open != json.Delim('{') {
		return messagekind.None
	}
	for d.More() {
		key, _ := d.Token()
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return messagekind.Other
		}
		if key != "type" {
			continue
		}
		text := string(value)
		switch text[0] {
		case '{', '[':
			return messagekind.Other
		case '"':
			if !utf8.ValidString(text) {
				return messagekind.Other
			}
			_ = json.Unmarshal(value, &text)
		case 'n':
			return messagekind.None
		}
		for _, name := range append([]string{""}, declared...) {
			if text == name && name == "" {
				return messagekind.None
			}
			if text == name {
				return name
			}
		}
		return messagekind.Other
	}
	return messagekind.None
}

// BenchmarkRead reads a message of 200 bytes with ten declared kinds.
func BenchmarkRead(b *testing.B) {
	kinds := strings.Fields("join leave chat typing position score ready start pause stop")
	message := []byte(`{"id":12345,"type":"position","lat":52.51627,"lon":13.37770,"text":"` + strings.Repeat("x", 130) + `"}`)
	k := declare(b, messagekind.JSONMember("type"), kinds...)
	b.ReportAllocs()
	for b.Loop() {
		k.Read(messagekind.Message{Prefix: message, Whole: true, Text: true})
	}
}

// BenchmarkHostile reads the most expensive messages that a peer can send, of 1 and
// of 64 KiB. Both sizes must have about the same bytes per second.
func BenchmarkHostile(b *testing.B) {
	for _, h := range []struct{ name, begin, again string }{
		{"nesting", `{"a":`, `[`}, {"nestedStrings", `{"a":[`, `"",`}, {"escapes", `{"a":"`, `\"`}, {"escapedName", `{"`, `\u0074`},
		{"members", `{`, `"a":1,`}, {"escapedMembers", `{`, `"\u0061":1,`}, {"space", ``, ` `}, {"quotes", `{"a":[`, `"`}, {"number", `{"type":`, `1`},
		{"value", `{"type":"`, `\u0061`}, {"backslashes", `{"a":[`, `"\\",`},
	} {
		for _, size := range []int{1 << 10, 64 << 10} {
			message := []byte((h.begin + strings.Repeat(h.again, size))[:size])
			k := declare(b, messagekind.JSONMember("type").Within(size), "a")
			b.Run(h.name+"/"+map[int]string{1 << 10: "1KiB", 64 << 10: "64KiB"}[size], func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					k.Read(messagekind.Message{Prefix: message, Text: true})
				}
			})
		}
	}
}
