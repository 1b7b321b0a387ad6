package secret_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/otelws/otelws-go/cmd/otelws/internal/secret"
)

func TestHide(t *testing.T) {
	for text, want := range map[string]string{
		"ws://localhost:8080/echo":                         "ws://localhost:8080/echo",
		"ws://me:s3cret@localhost/x":                       "ws://REDACTED@localhost/x",
		"ws://s3cret@localhost":                            "ws://REDACTED@localhost",
		"wss://h/x?token=s3cret&room=s3cret2":              "wss://h/x?token=REDACTED&room=REDACTED",
		"wss://h/x?s3cret":                                 "wss://h/x?REDACTED",
		"wss://h/x?token=s3cret;b=s3cret":                  "wss://h/x?token=REDACTED&b=REDACTED",
		"wss://h?token=s3cret#s3cret":                      "wss://h?token=REDACTED#REDACTED",
		`Get "http://h/?t=s3cret": dial tcp 1.2.3.4:80`:    `Get "http://h/?t=REDACTED": dial tcp 1.2.3.4:80`,
		"http://me:s3/cret@h/x":                            "http://REDACTED@h/x",
		"http://me:s3?cret@h/x":                            "http://REDACTED",
		"http://me:s3#cret@h/x":                            "http://REDACTED",
		"http://me:s3@cret@h/x":                            "http://REDACTED@h/x",
		"http://h/@me":                                     "http://h/@me",
		"http://h:80/@me":                                  "http://h:80/@me",
		"http://[::1]:80/?x=s3cret":                        "http://[::1]:80/?x=REDACTED",
		"me:s3cret@localhost:3000":                         "REDACTED@localhost:3000",
		"localhost:8080/ws?token=s3cret: use":              "localhost:8080/ws?token=REDACTED use",
		"localhost/ws?token=s3cret&s3cret#s3cret":          "localhost/ws?token=REDACTED&REDACTED#REDACTED",
		"/ws?token=s3cret&x=s3cret":                        "/ws?token=REDACTED&x=REDACTED",
		"two: http://a/?x=s3cret and http://s3cret@b/":     "two: http://a/?x=REDACTED and http://REDACTED@b/",
		"HTTP://ME:S3CRET@H":                               "HTTP://REDACTED@H",
		"postgres://u:s3cret@db/x?sslmode=off":             "postgres://REDACTED@db/x?sslmode=REDACTED",
		"":                                                 "",
		"what is this?":                                    "what is this?",
		"redis+tls://:s3cret@h":                            "redis+tls://REDACTED@h",
		`{"url": "ws://h/?a=s3cret\u0026b=s3cret", "n":1}`: `{"url": "ws://h/?a=REDACTED", "n":1}`,
	} {
		got := secret.Hide(text)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
		if again := secret.Hide(got); again != got {
			t.Errorf("%s: hidden again %s", text, again)
		}
	}
}

func FuzzHide(f *testing.F) {
	f.Add("ws://u:", "@h/?a=", "&b#c")
	f.Fuzz(func(t *testing.T, before, between, after string) {
		secret.Hide(before + "s3cret" + between + "s3cret" + after)
	})
}

func TestWriter(t *testing.T) {
	var b strings.Builder
	w := secret.NewWriter(&b)
	for _, part := range []string{"one http://h/?to", "ken=s3c", "ret\ntwo http://u:s3", "cret@h"} {
		fmt.Fprint(w, part)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "one http://h/?token=REDACTED\ntwo http://REDACTED@h"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAttr(t *testing.T) {
	var b strings.Builder
	l := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: secret.Attr}))
	l.With("url", "http://u:s3cret@h").Error("to http://h/?t=s3cret", "err", errors.New("at http://h/?t=s3cret"), "n", 1)
	if got := b.String(); strings.Contains(got, "s3cret") || !strings.Contains(got, "n=1") {
		t.Error(got)
	}
}
