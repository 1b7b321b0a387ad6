package otelws

import (
	"slices"
	"strconv"
	"testing"

	"github.com/coder/websocket"
)

// Every code maps to a value in the closed set: to itself if it is registered or
// declared, or else to the value for its range.
func TestFoldCloseCode(t *testing.T) {
	codes, err := newCloseCodes([]websocket.StatusCode{4001, 3500})
	if err != nil {
		t.Fatal(err)
	}
	known := append(slices.Clone(registeredCodes), 4001, 3500)
	for code := websocket.StatusCode(-1); code < 70_000; code++ {
		want := codeOther
		switch {
		case slices.Contains(known, code):
			want = strconv.Itoa(int(code))
		case code >= 3000 && code <= 3999:
			want = codeLibrary
		case code >= 4000 && code <= 4999:
			want = codePrivate
		}
		if got := codes.values[codes.fold(code)]; got != want {
			t.Errorf("code %d is counted as %s, want %s", code, got, want)
		}
	}
}
