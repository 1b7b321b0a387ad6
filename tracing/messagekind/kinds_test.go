package messagekind_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"

	"github.com/otelws/otelws-go/tracing/messagekind"
)

func TestDeclare(t *testing.T) {
	member := messagekind.JSONMember("type")
	for _, tt := range []struct {
		name   string
		reader messagekind.Reader
		kinds  []string
		want   string // part of the error, or the names
	}{
		{"declared", member, []string{"a", "b"}, "a b other none"},
		{"twice, and other and none", member, []string{"a", "other", "a", "none"}, "a other none"},
		{"of the protocol", messagekind.EngineIO(), nil, "open close ping pong message upgrade noop other none"},
		{"beside the protocol's", messagekind.JSONRPC(), []string{"m", "error"}, "result error batch m other none"},
		{"zero", messagekind.Reader{}, []string{"a"}, "the zero Reader reads no kinds"},
		{"no function", messagekind.FirstBytes(nil), []string{"a"}, "FirstBytes reads no kinds: it has no function"},
		{"no kinds", member, nil, "JSONMember has no kinds of its own: declare"},
		{"other alone", member, []string{"other"}, "declare the kinds"},
		{"empty", member, []string{""}, "empty kind"},
		{"UTF-8", member, []string{"\xff"}, "not valid UTF-8"},
		{"long", member, []string{strings.Repeat("a", 129)}, "longer than 128 bytes"},
		{"typing error", messagekind.MQTT(), []string{"PUBLISHED"}, `MQTT has no kind "PUBLISHED": it has CONNECT, CONNACK`},
		{"no prefix", member.Within(0), []string{"a"}, "a prefix of 0 bytes is not from 1 to 65536"},
		{"negative prefix", member.Within(-1), []string{"a"}, "a prefix of -1 bytes is not from 1 to 65536"},
		{"prefix too large", member.Within(1 << 17), []string{"a"}, "a prefix of 131072 bytes"},
	} {
		k, err := messagekind.Declare(tt.reader, tt.kinds...)
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = strings.Join(k.Names(), " ")
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPlace(t *testing.T) {
	k := declare(t, messagekind.JSONRPC(), "m")
	for name, want := range map[string]string{"m": "m", "error": "error", "none": "none", "x": "other", "": "other"} {
		if got := k.Names()[k.Place(name)]; got != want {
			t.Errorf("%q is %s", name, got)
		}
	}
}

// Kinds returns a copy.
func TestOwnKinds(t *testing.T) {
	r := messagekind.EngineIO()
	clear(r.Kinds())
	if got := messagekind.EngineIO().Kinds(); !slices.Contains(got, "upgrade") {
		t.Errorf("kinds %q", got)
	}
}

func TestWithin(t *testing.T) {
	far := `{"a":"` + strings.Repeat("x", 600) + `","type":"a"}`
	for prefix, want := range map[int]string{0: "other", 600: "other", 700: "a", 1: "other"} {
		r := messagekind.JSONMember("type")
		if prefix > 0 {
			r = r.Within(prefix)
		}
		k := declare(t, r, "a")
		if got := k.Names()[k.Read(messagekind.Message{Prefix: []byte(far), Whole: true, Text: true})]; got != want {
			t.Errorf("within %d bytes: %s, want %s", prefix, got, want)
		}
	}
}

func TestFirstBytes(t *testing.T) {
	var kept [][]byte
	k := declare(t, messagekind.FirstBytes(func(b []byte, text bool) string {
		kept = append(kept, b[:cap(b)])
		if len(b) == 0 {
			return ""
		}
		kind := string(b[:1])
		b[0] = '?'
		if text {
			return kind
		}
		return "binary " + kind
	}), "a", "binary a")
	message := []byte("abc")
	for _, tt := range []struct {
		m    messagekind.Message
		want string
	}{
		{messagekind.Message{Prefix: message, Text: true}, "a"},
		{messagekind.Message{Prefix: message}, "binary a"},
		{messagekind.Message{Prefix: []byte("b")}, "other"},
		{messagekind.Message{Prefix: []byte("none"), Text: true}, "other"},
		{messagekind.Message{}, "none"},
	} {
		if got := k.Names()[k.Read(tt.m)]; got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.m, got, tt.want)
		}
	}
	if string(message) != "abc" {
		t.Errorf("the function has changed the message: %q", message)
	}
	for _, b := range kept {
		if strings.Trim(string(b), "\x00") != "" {
			t.Errorf("the function has kept %q", b)
		}
	}
}

// If a function panics, this is reported once, and its messages count as other.
func TestFirstBytesPanics(t *testing.T) {
	var mu sync.Mutex
	var reported []string
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		reported = append(reported, err.Error())
	}))
	k := declare(t, messagekind.FirstBytes(func(b []byte, _ bool) string { return string(b[7:8]) }), "a")
	for range 3 {
		if got := k.Names()[k.Read(messagekind.Message{Prefix: []byte("abc")})]; got != "other" {
			t.Errorf("is %s", got)
		}
	}
	if got := k.Names()[k.Read(messagekind.Message{Prefix: []byte("       a")})]; got != "a" {
		t.Errorf("after the panic: %s", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(reported) != 1 || !strings.Contains(reported[0], "function of FirstBytes panicked") {
		t.Errorf("reported %q", reported)
	}
}
