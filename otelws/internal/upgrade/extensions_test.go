package upgrade

import (
	"fmt"
	"net/http"
	"testing"
)

// The test covers the parameters of permessage-deflate (RFC 7692 section 7.1).
func TestExtensions(t *testing.T) {
	for header, want := range map[string]string{
		"":                   "{0 {false 15} {false 15}}",
		"permessage-deflate": "{64 {false 15} {false 15}}",
		"permessage-deflate; server_no_context_takeover;client_max_window_bits=10":    "{64 {false 10} {true 15}}",
		`permessage-deflate;client_no_context_takeover; server_max_window_bits = "9"`: "{64 {true 15} {false 9}}",
		"permessage-deflate; server_max_window_bits=99; client_max_window_bits":       "{64 {false 15} {false 15}}",
		"permessage-deflate; server_max_window_bits=8; client_max_window_bits=7":      "{64 {false 15} {false 8}}",
		"permessage-deflate; server_max_window_bits=x":                                "{64 {false 15} {false 15}}",
		"x-other": "{112 {false 15} {false 15}}",
	} {
		if got := fmt.Sprint(ExtensionsOf(http.Header{"Sec-Websocket-Extensions": {header}})); got != want {
			t.Errorf("extensions of %q: %s, want %s", header, got, want)
		}
	}
}
