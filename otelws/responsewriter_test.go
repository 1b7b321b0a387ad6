package otelws_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	gorilla "github.com/gorilla/websocket"
)

// methodsOf returns the names of the methods of w's type.
func methodsOf(w http.ResponseWriter) (names []string) {
	typ := reflect.TypeOf(w)
	for i := range typ.NumMethod() {
		names = append(names, typ.Method(i).Name)
	}
	return names
}

// The handler's writer has exactly the methods of the server's writer, and Unwrap.
func TestResponseWriterMethods(t *testing.T) {
	ws, _ := newInstrumentation(t)
	check := func(w http.ResponseWriter, r *http.Request) {
		want := methodsOf(w)
		if !slices.Contains(want, "Unwrap") {
			want = append(want, "Unwrap")
			slices.Sort(want)
		}
		ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if got := methodsOf(w); !slices.Equal(got, want) {
				t.Errorf("the writer has the methods %q, want %q", got, want)
			}
		})).ServeHTTP(w, r)
	}
	recorder := func() http.ResponseWriter { return &struct{ http.ResponseWriter }{httptest.NewRecorder()} }
	for _, w := range []http.ResponseWriter{
		recorder(),
		unwrapped{plainWriter{recorder()}},
		hiding{recorder()},
		failingFlusher{recorder()},
		&holdingWriter{ResponseWriter: recorder()},
		&ginWriter{holdingWriter{ResponseWriter: recorder()}},
		struct {
			plainWriter
			http.Pusher
			io.ReaderFrom
		}{},
	} {
		check(w, upgrade())
	}
	s := startServer(t, nil, http.HandlerFunc(check))
	w := connectWire(t, s)
	w.send(handshakeRequest())
	w.reply()
	_ = w.Close()
	s.wait(t)
}

// holdingWriter delays the status until there is a body, as a compressing middleware
// does.
type holdingWriter struct {
	http.ResponseWriter
	status int
	sent   bool
}

func (w *holdingWriter) WriteHeader(status int) {
	if !w.sent {
		w.status = status
	}
}

func (w *holdingWriter) send() {
	if !w.sent && w.status > 0 {
		w.ResponseWriter.WriteHeader(w.status)
	}
	w.sent = true
}

func (w *holdingWriter) Write(b []byte) (int, error) {
	w.send()
	return w.ResponseWriter.Write(b)
}

func (w *holdingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// unwrappedHolding has Unwrap besides.
type unwrappedHolding struct{ *holdingWriter }

func (w unwrappedHolding) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ginWriter has WriteHeaderNow, as gin's writer has.
type ginWriter struct{ holdingWriter }

func (w *ginWriter) WriteHeaderNow() { w.send() }

// sendingHijacker sends the header in Hijack.
type sendingHijacker struct{ *holdingWriter }

func (w sendingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.send()
	return w.holdingWriter.Hijack()
}

// forbidding answers 403, whatever status the handler sets.
type forbidding struct{ hiding }

func (w forbidding) WriteHeader(int) { w.hiding.WriteHeader(http.StatusForbidden) }

// hidingField keeps the inner writer in a field that is not embedded, so no method
// leads to it.
type hidingField struct{ w http.ResponseWriter }

func (w hidingField) Header() http.Header         { return w.w.Header() }
func (w hidingField) Write(b []byte) (int, error) { return w.w.Write(b) }
func (w hidingField) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w hidingField) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.w.(http.Hijacker).Hijack()
}

// hidingGin is a gin writer that keeps the inner writer in such a field.
type hidingGin struct {
	hidingField
	gin *ginWriter
}

func newHidingGin(w http.ResponseWriter) http.ResponseWriter {
	g := &ginWriter{holdingWriter{ResponseWriter: w}}
	return hidingGin{hidingField{g}, g}
}

func (w hidingGin) WriteHeaderNow() { w.gin.WriteHeaderNow() }

// holding are middlewares around a Handler. Some of them delay its response.
var holding = map[string]func(http.ResponseWriter) http.ResponseWriter{
	"none":           func(w http.ResponseWriter) http.ResponseWriter { return w },
	"unwrapped":      unwrap,
	"hiding":         func(w http.ResponseWriter) http.ResponseWriter { return hiding{w} },
	"hiding a field": func(w http.ResponseWriter) http.ResponseWriter { return hidingField{w} },
	"holding":        func(w http.ResponseWriter) http.ResponseWriter { return &holdingWriter{ResponseWriter: w} },
	"gin":            func(w http.ResponseWriter) http.ResponseWriter { return &ginWriter{holdingWriter{ResponseWriter: w}} },
	"gin, hidden":    newHidingGin,
	"sends at Hijack": func(w http.ResponseWriter) http.ResponseWriter {
		return sendingHijacker{&holdingWriter{ResponseWriter: w}}
	},
	"forbidding": func(w http.ResponseWriter) http.ResponseWriter { return forbidding{hiding{w}} },
	"holding, unwrapped": func(w http.ResponseWriter) http.ResponseWriter {
		return unwrappedHolding{&holdingWriter{ResponseWriter: w}}
	},
	"holding, hidden": func(w http.ResponseWriter) http.ResponseWriter {
		return hiding{&holdingWriter{ResponseWriter: hiding{w}}}
	},
}

// A connection counts exactly if the client gets a 101, whatever happens to the status
// that the library sets.
func TestSwitchingOnTheWire(t *testing.T) {
	for name, wrap := range holding {
		for _, now := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ws, m := newInstrumentation(t)
				s := startServer(t, nil, withWriter(wrap, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Connection", "Upgrade")
					w.Header().Set("Upgrade", "websocket")
					w.WriteHeader(http.StatusSwitchingProtocols)
					if w, ok := w.(interface{ WriteHeaderNow() }); ok && now {
						w.WriteHeaderNow()
					}
					c, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					_ = c.Close()
				}))))
				w := connectWire(t, s)
				w.send(handshakeRequest())
				answer, _ := io.ReadAll(w)
				_ = w.Close()
				s.wait(t)

				want := handshakes("0")
				switch {
				case strings.HasPrefix(string(answer), "HTTP/1.1 101 "):
					want = abandoned
				case strings.HasPrefix(string(answer), "HTTP/1.1 403 "):
					want = handshakes("403")
				case len(answer) > 0:
					t.Errorf("the client got %q", answer)
				}
				expect(t, m, want)
			})
		}
	}
}

// abandoned holds the metrics of a connection that the handler closes at once.
const abandoned = `
	ws_connection_duration_seconds_count{code="1006",initiator="local"} 1
	ws_connection_duration_seconds_sum{code="1006",initiator="local"} ~
	ws_connection_idle_seconds_count{code="1006",initiator="local"} 1
	ws_connection_idle_seconds_sum{code="1006",initiator="local"} ~
	ws_connections_closed_total{code="1006"} 1
	ws_connections_opened_total 1
	ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
	ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~`

// coder/websocket tells gin's writer to send the 101. The connection counts once with
// gin's writer outside a Handler, and with it inside.
func TestHeaderNow(t *testing.T) {
	gin := holding["gin"]
	ws, m := newInstrumentation(t)
	for name, h := range map[string]http.Handler{
		"in gin":     withWriter(gin, ws.Handler(coderEcho(nil))),
		"around gin": ws.Handler(withWriter(gin, coderEcho(nil))),
		"both":       ws.Handler(withWriter(gin, ws.Handler(coderEcho(nil)))),
		"Accept":     withWriter(gin, acceptEcho(ws)),
	} {
		before, _ := m.Value("ws_connections_opened_total")
		s := startServer(t, nil, h)
		w := openWire(t, s)
		exchange(w)
		w.rest()
		s.wait(t)
		if after, _ := m.Value("ws_connections_opened_total"); after != before+1 {
			t.Errorf("%s: %v connections were opened, want 1", name, after-before)
		}
	}
}

// A library finds the same methods as without the tap. For example, it finds no
// Hijacker in a writer that has only Unwrap.
func TestUnwrappedAnswers(t *testing.T) {
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			ws, _ := newInstrumentation(t)
			h := l.serve(t)
			var answers []string
			for _, h := range []http.Handler{h, ws.Handler(h)} {
				s := startServer(t, nil, withWriter(unwrap, h))
				w := connectWire(t, s)
				w.send(handshakeRequest())
				answers = append(answers, w.response().Status)
				_ = w.Close()
				s.wait(t)
			}
			if answers[0] != answers[1] {
				t.Errorf("the server answers %q, without the tap %q", answers[1], answers[0])
			}
		})
	}
}

// A handler reaches a middleware's writer by Unwrap.
func TestUnwrapFindsWriter(t *testing.T) {
	ws, _ := newInstrumentation(t)
	for _, want := range []http.ResponseWriter{unwrapped{plainWriter{httptest.NewRecorder()}}, &ginWriter{}, hiding{}} {
		ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for w != want {
				u, ok := w.(interface{ Unwrap() http.ResponseWriter })
				if !ok {
					t.Fatalf("Unwrap does not reach the writer %T", want)
				}
				w = u.Unwrap()
			}
		})).ServeHTTP(want, upgrade())
	}
}

// With gin's writer, the status may change until the header is sent.
func TestStatusChanges(t *testing.T) {
	gorillaAfter := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		gorillaEcho(&gorilla.Upgrader{})(w, r)
	}
	t.Run("of a refusal", func(t *testing.T) {
		ws, m := newInstrumentation(t)
		h := func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no")
			w.WriteHeader(http.StatusOK)
		}
		ws.Handler(http.HandlerFunc(h)).ServeHTTP(newHidingGin(httptest.NewRecorder()), upgrade())
		expect(t, m, handshakes("403"))
	})
	// A body is sent in other ways, too.
	for name, send := range map[string]func(w http.ResponseWriter){
		"io.Copy":        func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("hello")) },
		"io.WriteString": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "hello") },
		"Flush":          func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"FlushError":     func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	} {
		t.Run("after "+name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				send(w)
				w.WriteHeader(http.StatusForbidden) // too late
			}))
			w := connectWire(t, s)
			w.send(handshakeRequest())
			if resp := w.response(); resp.StatusCode != http.StatusOK {
				t.Errorf("the client got %s", resp.Status)
			}
			s.wait(t)
			expect(t, m, handshakes("200"))
		})
	}
	for _, wrap := range []string{"gin", "gin, hidden"} {
		t.Run("of a connection, "+wrap, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			s := startServer(t, nil, withWriter(holding[wrap], ws.Handler(http.HandlerFunc(gorillaAfter))))
			w := openWire(t, s)
			exchange(w)
			w.rest()
			s.wait(t)
			expect(t, m, exchanged)
		})
	}
}
