package otelws

import (
	"net/http"
	"net/http/httptest"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Of a handshake that is over nothing is kept, however it ended. Until then the
// innermost is known.
func TestUnderWay(t *testing.T) {
	newOne := func() *Instrumentation {
		ws, err := New(WithMeterProvider(sdkmetric.NewMeterProvider()))
		if err != nil {
			t.Fatal(err)
		}
		return ws
	}
	outer, inner := newOne(), newOne()
	for name, answer := range map[string]http.HandlerFunc{
		"refused":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"panicked": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
			known := func(want *Instrumentation) {
				t.Helper()
				var got *Instrumentation
				if h := handshakeUnderWay(headerOf(r)); h != nil {
					got = h.side.in
				}
				if got != want {
					t.Errorf("the handshake of %p is under way, want %p", got, want)
				}
			}
			func() {
				defer func() { _ = recover() }()
				outer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					known(outer)
					defer known(outer)
					inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						known(inner)
						answer(w, r)
					})).ServeHTTP(w, r)
				})).ServeHTTP(httptest.NewRecorder(), r)
			}()
			known(nil)
		})
	}
}
