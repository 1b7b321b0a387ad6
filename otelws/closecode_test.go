package otelws

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// FuzzCloseCode has a peer send any close payload: its code is counted as it is
// where it is registered or declared, and else under a fold or as an error.
func FuzzCloseCode(f *testing.F) {
	codes, err := newCloseCodes([]websocket.StatusCode{4001, 3500})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil))
	f.Add([]byte{3})
	f.Add([]byte("\x03\xe8bye"))
	f.Add([]byte("\x03\xee1006"))
	f.Add([]byte("\x0f\xa1declared"))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		code, reason, violation := parseClose(payload)
		value := codes.values[codes.fold(code)]
		switch {
		case len(payload) == 0:
			if value != "1005" || violation != frame.None {
				t.Errorf("no code: %s, %v", value, violation)
			}
			return
		case violation != frame.None:
			if value != codeOther || sendable(code) {
				t.Errorf("%v: counted as %s", violation, value)
			}
			return
		case value == "1005" || value == "1006":
			t.Errorf("a frame was counted as %s", value)
		case !slices.Contains(codes.values, value):
			t.Errorf("%s is outside the closed set", value)
		case value != strconv.Itoa(int(code)) && !strings.HasSuffix(value, "xxx"):
			t.Errorf("code %d counted as %s", code, value)
		}
		if reason != string(payload[2:]) {
			t.Errorf("reason %q of %q", reason, payload)
		}
	})
}
