package otelws_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelws/otelws-go/otelws"
)

// giving is a writer whose Hijack returns its connections one after the other, and then the last one
// again.
type giving struct {
	http.ResponseWriter
	conns []net.Conn
	given int
}

func (w *giving) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc := w.conns[min(w.given, len(w.conns)-1)]
	w.given++
	if nc == nil {
		return nil, nil, nil
	}
	return nc, bufio.NewReadWriter(bufio.NewReader(nc), bufio.NewWriter(nc)), nil
}

func newSilent() net.Conn { return silent{closed: make(chan struct{}), once: new(sync.Once)} }

// hijacks serves one handshake with a writer whose Hijack returns conns, and calls f in the handler.
func hijacks(t *testing.T, ws *otelws.Instrumentation, f func(http.ResponseWriter), conns ...net.Conn) {
	t.Helper()
	w := &giving{ResponseWriter: httptest.NewRecorder(), conns: conns}
	ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f(w) })).ServeHTTP(w, upgrade())
}

// If a middleware and a library hijack the same connection, both get the same tap.
func TestHijackTwice(t *testing.T) {
	for _, switched := range []bool{true, false} {
		ws, m := newInstrumentation(t)
		hijacks(t, ws, func(w http.ResponseWriter) {
			if switched {
				w.Header().Set("Upgrade", "websocket")
				w.WriteHeader(http.StatusSwitchingProtocols)
			}
			first, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Fatal(err)
			}
			nc, brw, err := w.(http.Hijacker).Hijack()
			if nc != first || err != nil {
				t.Errorf("the first Hijack returned %p, %v, the second %p, %v", first, err, nc, err)
			}
			if !switched {
				_, _ = brw.WriteString(switchingHead)
				_ = brw.Flush()
			}
			_, _ = first.Write(unmasked(fin|opText, "hello"))
			_ = nc.Close()
		}, newSilent())
		expect(t, m, sentHello)
	}
}

// If a second Hijack returns another connection, that connection is not watched.
func TestHijackAnother(t *testing.T) {
	ws, m := newInstrumentation(t)
	one, two := newSilent(), newSilent()
	hijacks(t, ws, func(w http.ResponseWriter) {
		first, _, _ := w.(http.Hijacker).Hijack()
		if second, _, err := w.(http.Hijacker).Hijack(); second != two || err != nil {
			t.Errorf("the second Hijack returned %v, %v", second, err)
		}
		_ = first.Close()
	}, one, two)
	expect(t, m, handshakes("0"))
}

// If Hijack returns neither a connection nor an error, no connection opens.
func TestHijackNothing(t *testing.T) {
	ws, m := newInstrumentation(t)
	hijacks(t, ws, func(w http.ResponseWriter) {
		if nc, brw, err := w.(http.Hijacker).Hijack(); nc != nil || brw != nil || err != nil {
			t.Errorf("Hijack returned %v, %v, %v; want nil", nc, brw, err)
		}
	}, nil)
	expect(t, m, handshakes("0"))
}

// After the handler has returned, its handshake is recorded. A later Hijack is not watched.
func TestHijackLate(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("tier", tier, "a"))
	var late http.ResponseWriter
	nc := newSilent()
	hijacks(t, ws, func(w http.ResponseWriter) { late = w }, nc)
	if got, _, err := late.(http.Hijacker).Hijack(); got != nc || err != nil {
		t.Errorf("the late Hijack returned %v, %v", got, err)
	}
	m.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="200",tier="other"}`, 1)
	if v, _ := m.Value(`ws_protocol_errors_total{error_type="internal"}`); v != 0 {
		t.Errorf("%v faults were counted, want none", v)
	}
}

// A response may have header names as in RFC 6455, or in any case.
func TestHeaderNames(t *testing.T) {
	for _, change := range []func(string) string{
		func(name string) string { return name }, strings.ToLower, strings.ToUpper,
	} {
		ws, m := newInstrumentation(t, otelws.WithSubprotocols("chat"))
		hijacks(t, ws, func(w http.ResponseWriter) {
			for name, value := range map[string]string{
				"Upgrade": "websocket", "Sec-WebSocket-Protocol": "chat", "Sec-WebSocket-Extensions": "permessage-deflate",
			} {
				w.Header()[change(name)] = []string{value}
			}
			w.WriteHeader(http.StatusSwitchingProtocols)
			nc, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = nc.Write(unmasked(fin|rsv1|opText, "compressed"))
			_, _ = nc.Write(unmasked(fin|opClose, closePayload(1000, "")))
			_ = nc.Close()
		}, newSilent())
		m.Wait(t, `ws_connections_closed_total{code="1000",subprotocol="chat"}`, 1)
		m.Wait(t, "ws_message_sent_bytes_count", 1)
	}
}

// circular is a writer whose Unwrap returns the writer itself.
type circular struct{ plainWriter }

func (w circular) Unwrap() http.ResponseWriter { return w }

// A search through the writers ends, even if they contain each other.
func TestUnwrapEnds(t *testing.T) {
	ws, m := newInstrumentation(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUpgradeRequired)
		})).ServeHTTP(circular{plainWriter{httptest.NewRecorder()}}, upgrade())
	}()
	select {
	case <-done:
	case <-time.After(waitLimit):
		t.Fatal("the Handler does not return")
	}
	expect(t, m, handshakes("426"))
}
