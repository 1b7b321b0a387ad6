package otelws_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// traced is an Instrumentation and the spans that it has ended.
type traced struct {
	*otelws.Instrumentation
	spans   *tracetest.InMemoryExporter
	metrics *otelwstest.Metrics
}

func newTraced(t *testing.T, sampler sdktrace.Sampler, opts ...otelws.Option) *traced {
	t.Helper()
	tr := &traced{spans: tracetest.NewInMemoryExporter(), metrics: otelwstest.NewMetrics(t)}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(tr.spans), sdktrace.WithSampler(sampler))
	ws, err := otelws.New(append(opts,
		otelws.WithMeterProvider(tr.metrics.MeterProvider()),
		otelws.WithTracerProvider(tp),
		otelws.WithPropagator(propagation.TraceContext{}),
	)...)
	if err != nil {
		t.Fatal(err)
	}
	tr.Instrumentation = ws
	return tr
}

// wait waits for n spans and returns them in the order of their end.
func (tr *traced) wait(t *testing.T, n int) tracetest.SpanStubs {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if spans := tr.spans.GetSpans(); len(spans) >= n {
			return spans
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d spans, want %d", len(tr.spans.GetSpans()), n)
		}
	}
}

// describe formats spans, one a line, with kind, name, status, parent and attributes.
// It omits values that differ from run to run.
func describe(spans tracetest.SpanStubs) string {
	names := map[trace.SpanID]string{{1}: "the browser"}
	for _, s := range spans {
		names[s.SpanContext.SpanID()] = s.SpanKind.String() + " " + s.Name
	}
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&b, "%s %s, %s", s.SpanKind, s.Name, s.Status.Code)
		if s.Parent.IsValid() {
			fmt.Fprintf(&b, ", child of %s (remote %v)", names[s.Parent.SpanID()], s.Parent.IsRemote())
		}
		for _, l := range s.Links {
			fmt.Fprintf(&b, ", linked to %s", names[l.SpanContext.SpanID()])
		}
		b.WriteString("\n")
		var attrs []string
		for _, a := range s.Attributes {
			switch a.Key {
			case "server.port", "network.peer.port", "ws.connection.duration":
				attrs = append(attrs, fmt.Sprintf("\t%s\n", a.Key))
			case "url.full":
				attrs = append(attrs, fmt.Sprintf("\t%s=...%s\n", a.Key, a.Value.AsString()[strings.LastIndex(a.Value.AsString(), "/"):]))
			default:
				attrs = append(attrs, fmt.Sprintf("\t%s=%s\n", a.Key, a.Value.String()))
			}
		}
		slices.Sort(attrs)
		b.WriteString(strings.Join(attrs, ""))
	}
	return b.String()
}

const browserParent = "00-0102030405060708090a0b0c0d0e0f10-0100000000000000-01"

func TestConnectionSpans(t *testing.T) {
	const common = `	http.request.method=GET
%s	network.peer.address=127.0.0.1
	network.peer.port
	network.protocol.version=1.1
	server.address=127.0.0.1
	server.port
	url.path=%s
	url.scheme=http
	user_agent.original=Go-http-client/1.1
`
	accepted := func(name, path, parent string) string {
		return "server " + name + ", Unset" + parent + "\n" +
			fmt.Sprintf(common, "	http.response.status_code=101\n	http.route="+path+"\n", path)
	}
	closed := func(name, status, code, initiator, more, received, sent, bytesIn, bytesOut string) string {
		return "internal websocket.close, " + status + ", child of server " + name + " (remote false)\n" +
			"	code=" + code + "\n" + more + "	initiator=" + initiator + "\n" +
			"	ws.bytes.received=" + bytesIn + "\n	ws.bytes.sent=" + bytesOut + "\n	ws.connection.duration\n" +
			"	ws.messages.received=" + received + "\n	ws.messages.sent=" + sent + "\n"
	}
	refused := func(status int, code string) string {
		return "server GET /refuse, " + code + "\n" + fmt.Sprintf(common, fmt.Sprintf("	http.response.status_code=%d\n	http.route=/refuse\n", status), "/refuse")
	}
	tests := []struct {
		name   string
		path   string
		header http.Header
		opts   []otelws.Option
		serve  http.HandlerFunc
		client func(t *testing.T, c *websocket.Conn)
		spans  int
		want   string
	}{
		{
			name: "clean close", path: "/echo", serve: echo,
			client: func(t *testing.T, c *websocket.Conn) {
				roundTrip(t, c, "four")
				_ = c.Close(websocket.StatusNormalClosure, "")
			},
			spans: 2,
			want:  accepted("GET /echo", "/echo", "") + closed("GET /echo", "Unset", "1000", "peer", "", "1", "1", "18", "10"),
		},
		{
			name: "vanished", path: "/echo", serve: echo,
			client: func(_ *testing.T, c *websocket.Conn) { _ = c.CloseNow() },
			spans:  2,
			want:   accepted("GET /echo", "/echo", "") + closed("GET /echo", "Error", "1006", "peer", "	error.type=1006\n", "0", "0", "0", "0"),
		},
		{
			name: "parent in the headers", path: "/echo", serve: echo,
			header: http.Header{"Traceparent": {browserParent}},
			client: func(_ *testing.T, c *websocket.Conn) { _ = c.CloseNow() },
			spans:  2,
			want: accepted("GET /echo", "/echo", ", child of the browser (remote true)") +
				closed("GET /echo", "Error", "1006", "peer", "	error.type=1006\n", "0", "0", "0", "0"),
		},
		{
			name: "parent in the query", path: "/echo?traceparent=" + browserParent, serve: echo,
			opts:   []otelws.Option{otelws.WithTraceContextFromQuery()},
			client: func(_ *testing.T, c *websocket.Conn) { _ = c.CloseNow() },
			spans:  2,
			want: accepted("GET /echo", "/echo", ", child of the browser (remote true)") +
				closed("GET /echo", "Error", "1006", "peer", "	error.type=1006\n", "0", "0", "0", "0"),
		},
		{
			name: "query not asked for", path: "/echo?traceparent=" + browserParent, serve: echo,
			client: func(_ *testing.T, c *websocket.Conn) { _ = c.CloseNow() },
			spans:  2,
			want: accepted("GET /echo", "/echo", "") +
				closed("GET /echo", "Error", "1006", "peer", "	error.type=1006\n", "0", "0", "0", "0"),
		},
		{
			name: "refused", path: "/refuse",
			serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
			spans: 1, want: refused(403, "Unset"),
		},
		{
			name: "failed", path: "/refuse",
			serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			spans: 1,
			want:  strings.Replace(refused(502, "Error"), "	http.request", "	error.type=502\n	http.request", 1),
		},
		{
			name: "panic", path: "/refuse",
			serve: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			spans: 1,
			want:  strings.Replace(refused(500, "Error"), "	http.request", "	error.type=500\n	http.request", 1),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTraced(t, sdktrace.AlwaysSample(), tt.opts...)
			mux := http.NewServeMux()
			path, _, _ := strings.Cut(tt.path, "?")
			mux.Handle("GET "+path, tt.serve)
			url := serve(t, tr.Handler(mux))
			c, _, err := websocket.Dial(context.Background(), url+tt.path, &websocket.DialOptions{HTTPHeader: tt.header})
			if tt.client != nil {
				if err != nil {
					t.Fatal(err)
				}
				tt.client(t, c)
			}
			if diff := cmp.Diff(tt.want, describe(tr.wait(t, tt.spans))); diff != "" {
				t.Errorf("spans: want -, got +:\n%s", diff)
			}
		})
	}
}

func roundTrip(t *testing.T, c *websocket.Conn, message string) {
	t.Helper()
	if err := c.Write(context.Background(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// The dialed handshake is the parent of the accepted one. On both sides the context has
// the span of its own handshake.
func TestConnectionSpansMeet(t *testing.T) {
	tr := newTraced(t, sdktrace.AlwaysSample())
	inHandler := make(chan trace.SpanContext, 1)
	var recording bool
	url := serve(t, tr.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span := trace.SpanFromContext(r.Context())
		recording = span.IsRecording() // if the context held the handshake's own span, it would record now
		inHandler <- span.SpanContext()
		echo(w, r)
	})))
	c, resp, err := tr.Dial(context.Background(), url+"/?token=secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	spans := tr.wait(t, 2)
	client, server := spans[slices.IndexFunc(spans, isClient)], spans[slices.IndexFunc(spans, isServer)]
	if server.Parent.SpanID() != client.SpanContext.SpanID() || server.SpanContext.TraceID() != client.SpanContext.TraceID() {
		t.Errorf("the accepted handshake's parent is %v, want %v", server.Parent, client.SpanContext)
	}
	if got := trace.SpanContextFromContext(resp.Request.Context()); got.SpanID() != client.SpanContext.SpanID() {
		t.Errorf("the response's request has the span %v, want %v", got.SpanID(), client.SpanContext.SpanID())
	}
	if sc := <-inHandler; sc.SpanID() != server.SpanContext.SpanID() {
		t.Errorf("the handler has the span %v, want %v", sc.SpanID(), server.SpanContext.SpanID())
	}
	if recording {
		t.Error("the handler's context holds a recording span, for as long as the handler runs")
	}
	want := `client GET, Unset
	http.request.method=GET
	http.response.status_code=101
	server.address=127.0.0.1
	server.port
	url.full=.../
`
	if diff := cmp.Diff(want, describe(tracetest.SpanStubs{client})); diff != "" {
		t.Errorf("client span: want -, got +:\n%s", diff)
	}
	roundTrip(t, c, "four")
	_ = c.Close(websocket.StatusNormalClosure, "")
	if n := len(tr.wait(t, 4)); n != 4 {
		t.Errorf("%d spans, want one handshake and one close of each side", n)
	}
}

// The span of a handshake has the declared route, as the metrics do, and otherwise the route of the mux.
// The span of a dialed handshake has none, although a proxy passes on the pattern of its own mux.
func TestSpanRoutes(t *testing.T) {
	for _, tt := range []struct{ name, pattern, set, want string }{
		{"of a router that sets no pattern", "", "/room/:id", "GET /room/:id"},
		{"not declared", "", "/other/:id", "GET"},
		{"of a router inside a mux", "/api/", "/room/:id", "GET /room/:id"},
		{"not declared, inside a mux", "/api/", "/other/:id", "GET /api/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTraced(t, sdktrace.AlwaysSample(), otelws.WithEnum("http.route", nil, "/room/:id"))
			url := serve(t, tr.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Pattern = tt.pattern
				if err := otelws.SetAttribute(r.Context(), "http.route", tt.set); err != nil {
					t.Error(err)
				}
				w.WriteHeader(http.StatusForbidden)
			})))
			r := httptest.NewRequest(http.MethodGet, strings.Replace(url, "ws", "http", 1), nil)
			r.RequestURI, r.Pattern = "", "/front/"
			for key, value := range upgrade().Header {
				r.Header[key] = value
			}
			resp, err := tr.Transport(nil).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			for _, s := range tr.wait(t, 2) {
				want := tt.want
				if isClient(s) {
					want = "GET"
				}
				if s.Name != want {
					t.Errorf("the span of the %s is %s, want %s", s.SpanKind, s.Name, want)
				}
			}
		})
	}
}

func isClient(s tracetest.SpanStub) bool { return s.SpanKind == trace.SpanKindClient }
func isServer(s tracetest.SpanStub) bool { return s.SpanKind == trace.SpanKindServer }

// A connection has a span of its end exactly if it has one of its handshake, whatever
// share of traces the sampler takes.
func TestCloseFollowsHandshake(t *testing.T) {
	tr := newTraced(t, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(.5)))
	url := serve(t, tr.Handler(echo))
	const n = 64
	for range n {
		c, _, err := websocket.Dial(context.Background(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	tr.metrics.Wait(t, `ws_connections_closed_total{code="1000"}`, n)
	handshakes, closes := map[trace.TraceID]bool{}, map[trace.TraceID]bool{}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		for _, s := range tr.spans.GetSpans() {
			if isServer(s) {
				handshakes[s.SpanContext.TraceID()] = true
			} else {
				closes[s.SpanContext.TraceID()] = true
			}
		}
		if cmp.Equal(handshakes, closes) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d handshakes and %d closes are sampled, want the same connections", len(handshakes), len(closes))
		}
	}
	if len(handshakes) == 0 || len(handshakes) == n {
		t.Errorf("%d of %d handshakes are sampled, want some of them", len(handshakes), n)
	}
}

// A histogram's exemplars refer to the trace of the connection's handshake.
func TestExemplarsOfHandshake(t *testing.T) {
	tr := newTraced(t, sdktrace.AlwaysSample())
	url := serve(t, tr.Handler(echo))
	c, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c, "four")
	_ = c.Close(websocket.StatusNormalClosure, "")
	spans := tr.wait(t, 2)
	id := spans[0].SpanContext.TraceID().String()
	tr.metrics.Wait(t, `ws_connection_duration_seconds_count{code="1000",initiator="peer"}`, 1)
	families, err := tr.metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ws_message_bytes", "ws_message_sent_bytes", "ws_connection_duration_seconds", "ws_handshake_duration_seconds"} {
		found := false
		for _, f := range families {
			if f.GetName() != name {
				continue
			}
			for _, m := range f.GetMetric() {
				for _, b := range m.GetHistogram().GetBucket() {
					for _, l := range b.GetExemplar().GetLabel() {
						found = found || l.GetName() == "trace_id" && l.GetValue() == id
					}
				}
			}
		}
		if !found {
			t.Errorf("%s has no exemplar of trace %s", name, id)
		}
	}
}

// While a connection is open, neither end has an open span.
func TestNoOpenSpans(t *testing.T) {
	spans := new(openSpans)
	ws, err := otelws.New(
		otelws.WithMeterProvider(otelwstest.NewMetrics(t).MeterProvider()),
		otelws.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, ws.Handler(echo))
	for range 50 {
		c, _, err := ws.Dial(context.Background(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		roundTrip(t, c, "the handshake is over")
	}
	if started, open := spans.started.Load(), spans.open.Load(); started != 100 || open != 0 {
		t.Errorf("%d spans have begun and %d are open, want 100 and 0", started, open)
	}
}
