package tap

import (
	"strconv"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// FuzzCloseCode reads any close payload. Either its code may be sent, or it is a
// violation.
func FuzzCloseCode(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{3})
	f.Add([]byte("\x03\xe8bye"))
	f.Add([]byte("\x03\xee1006"))
	f.Add([]byte("\x0f\xa1private"))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		code, reason, violation := parseClose(payload)
		switch {
		case len(payload) == 0:
			if code != websocket.StatusNoStatusRcvd || violation != frame.None {
				t.Errorf("an empty payload has code %d and violation %v", code, violation)
			}
			return
		case violation != frame.None:
			if code != InvalidCode {
				t.Errorf("the violation %v has code %d", violation, code)
			}
			return
		case !Sendable(code):
			t.Errorf("a code that must not be sent was accepted: %s", strconv.Itoa(int(code)))
		}
		if reason != string(payload[2:]) {
			t.Errorf("the reason is %q, of payload %q", reason, payload)
		}
	})
}
