package plain_test

import (
	"testing"

	"github.com/otelws/otelws-go/cmd/otelws/internal/plain"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"héllo":                       "héllo",
		"a\x1b[2J\a\r\n\tb":           "a [2J    b",
		"del\x7f csi\u009b nel\u0085": "del  csi  nel ",
		"no-break\u00a0space":         "no-break\u00a0space",
		"\xff\x9b":                    "\ufffd\ufffd",
	} {
		if got := plain.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
