package writer

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// embedding is a writer of a middleware that embeds the inner writer and has no
// Unwrap.
type embedding struct{ http.ResponseWriter }

// unwrapping is a writer of a middleware with Unwrap.
type unwrapping struct{ w http.ResponseWriter }

func (u unwrapping) Header() http.Header         { return u.w.Header() }
func (u unwrapping) Write(b []byte) (int, error) { return u.w.Write(b) }
func (u unwrapping) WriteHeader(status int)      { u.w.WriteHeader(status) }
func (u unwrapping) Unwrap() http.ResponseWriter { return u.w }
func (e *endless) Unwrap() http.ResponseWriter   { return e }

type endless struct{ http.ResponseWriter }

// other has a field named ResponseWriter that is not an http.ResponseWriter.
type other struct {
	unwrapping
	ResponseWriter string
}

func (other) Unwrap() {}

// hiding gives no access to its inner writer.
type hiding struct{ unwrapping }

func (hiding) Unwrap() {}

// serve calls f with the writer of net/http's server.
func serve(tb testing.TB, f func(w http.ResponseWriter)) {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f(w) }))
	defer s.Close()
	if resp, err := s.Client().Get(s.URL); err == nil {
		_ = resp.Body.Close()
	}
}

// This test fails if a new version of net/http renames the fields that Sent reads.
func TestSent(t *testing.T) {
	wrappers := map[string]func(http.ResponseWriter) http.ResponseWriter{
		"net/http's own":       func(w http.ResponseWriter) http.ResponseWriter { return w },
		"by Unwrap":            func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} },
		"by an embedded field": func(w http.ResponseWriter) http.ResponseWriter { return &embedding{w} },
		"by both": func(w http.ResponseWriter) http.ResponseWriter {
			return embedding{unwrapping{&embedding{unwrapping{w}}}}
		},
	}
	for name, wrap := range wrappers {
		for _, status := range []int{0, http.StatusSwitchingProtocols, http.StatusForbidden} {
			serve(t, func(w http.ResponseWriter) {
				w.WriteHeader(http.StatusEarlyHints)
				if status > 0 {
					w.WriteHeader(status)
				}
				for range 2 {
					if got, ok := Sent(wrap(w)); !ok || got != status {
						t.Errorf("%s: got %d, %t, want %d", name, got, ok, status)
					}
					if status > 0 { // the status stays the same after Hijack
						_, _, _ = http.NewResponseController(w).Hijack()
					}
				}
			})
		}
	}
}

func TestSentUnknown(t *testing.T) {
	for name, w := range map[string]http.ResponseWriter{
		"another writer":  httptest.NewRecorder(),
		"a hidden writer": hiding{unwrapping{httptest.NewRecorder()}},
		"a nil field":     embedding{},
		"a nil pointer":   (*embedding)(nil),
		"a nil struct":    struct{ *embedding }{},
		"no writer":       other{ResponseWriter: "none"},
		"one of itself":   &endless{},
		"another beneath": embedding{unwrapping{httptest.NewRecorder()}},
	} {
		if status, ok := Sent(w); ok {
			t.Errorf("%s: got %d", name, status)
		}
	}
}

func BenchmarkSent(b *testing.B) {
	serve(b, func(w http.ResponseWriter) {
		for b.Loop() {
			Sent(w)
		}
	})
}
