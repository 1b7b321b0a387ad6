package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelws/otelws-go/tracing"
)

const (
	handshakeSpan = "internal handshake"
	processed     = "messaging.operation.name=process messaging.operation.type=process messaging.system=websocket opcode=%s"
	sent          = "messaging.operation.name=send messaging.operation.type=send messaging.system=websocket opcode=%s"
	size          = "messaging.message.body.size=%d "
)

func sentSpan(links, typ string, bytes int) string {
	return fmt.Sprintf("producer send "+links+" "+size+sent, bytes, typ)
}

func processSpan(links, typ string, bytes int) string {
	return fmt.Sprintf("consumer process "+links+" "+size+processed, bytes, typ)
}

var errEnough = errors.New("enough")

// exchange sends a message, and returns the message that the handler received.
func exchange(t *testing.T, client, server *tracing.Conn, typ websocket.MessageType, message string) (got string, ctx context.Context) {
	t.Helper()
	if err := client.Send(context.Background(), typ, []byte(message)); err != nil {
		t.Fatal(err)
	}
	err := server.Serve(t.Context(), func(c context.Context, gotType websocket.MessageType, data []byte) error {
		if gotType != typ {
			t.Errorf("type %v, want %v", gotType, typ)
		}
		got, ctx = string(data), c
		return errEnough
	})
	if err != errEnough {
		t.Fatalf("Serve: %v", err)
	}
	return got, ctx
}

func failedSpan(links, typ string, bytes int) string {
	return fmt.Sprintf("consumer process "+links+" error.type=*errors.errorString "+size+processed+" status=enough event=exception", bytes, typ)
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		name         string
		subprotocols []string
		opts         []tracing.ConnOption
		typ          websocket.MessageType
		message      string
		links        string // parent and links of the consumer's span
	}{
		{"none", nil, nil, text, `{"a":1}`, "link=handshake"},
		{"JSON", nil, []tracing.ConnOption{tracing.JSON()}, text, `{"a":1}`, "link=handshake link=send"},
		{"JSON, trusted", nil, []tracing.ConnOption{tracing.JSON(), tracing.TrustPeer()}, text, `{"a":1}`, "parent=send link=handshake"},
		{"JSON, binary", nil, []tracing.ConnOption{tracing.JSON()}, binary, `{"a":1}`, "link=handshake"},
		{"JSON, no object", nil, []tracing.ConnOption{tracing.JSON()}, text, `[{}]`, "link=handshake"},
		{"envelope, text", tracing.Subprotocols("chat"), nil, text, "héllo", "link=handshake link=send"},
		{"envelope, binary", tracing.Subprotocols(), nil, binary, "\xff\x00", "link=handshake link=send"},
		{"envelope, trusted", tracing.Subprotocols(), []tracing.ConnOption{tracing.TrustPeer()}, binary, "", "parent=send link=handshake"},
		{"envelope not negotiated", []string{"chat"}, nil, binary, "\x01", "link=handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSetUp(t)
			server, client := s.pair(t, c.subprotocols, c.opts...)
			got, _ := exchange(t, client, server, c.typ, c.message)
			typ, bytes := "text", len(c.message)
			if c.typ == binary {
				typ = "binary"
			}
			if len(got) > 0 && c.links != "link=handshake" && c.typ == text && c.subprotocols == nil {
				bytes = len(got) // the size includes the added members
			} else if got != c.message {
				t.Errorf("handler had %q, want %q", got, c.message)
			}
			s.expect(t, handshakeSpan, sentSpan("link=handshake", typ, len(c.message)), failedSpan(c.links, typ, bytes))
		})
	}
}

func TestDestination(t *testing.T) {
	s := newSetUp(t)
	m, err := s.Messages(context.Background(), tracing.Destination("/rooms/{id}\xff"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, p := m.StartReceive(context.Background(), text, nil)
	p.End(nil)
	s.expect(t, handshakeSpan, "consumer process /rooms/{id}\uFFFD messaging.destination.template=/rooms/{id}\uFFFD "+fmt.Sprintf(processed, "text"))
}

func TestPanic(t *testing.T) {
	s := newSetUp(t)
	server, client := s.pair(t, nil)
	if err := client.Send(context.Background(), text, []byte("x")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if v := recover(); v != "oh" {
				t.Errorf("recovered %v", v)
			}
		}()
		_ = server.Serve(t.Context(), func(context.Context, websocket.MessageType, []byte) error { panic("oh") })
	}()
	s.expect(t, handshakeSpan, sentSpan("link=handshake", "text", 1),
		fmt.Sprintf("consumer process link=handshake error.type=panic "+size+processed+" status=panic: oh event=exception", 1, "text"))
}

// An error may quote any message, and still has a text that every exporter takes.
func TestErrorText(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	for _, tt := range []struct{ quoted, want string }{
		{"room \xff\xfe!", "room \uFFFD!"},
		{"a" + long, "a" + long[:4094] + "..."},
		{long[:4096], long[:4096]},
	} {
		for name, fail := range map[string]func(p tracing.Processing, m *tracing.Messages){
			"error": func(p tracing.Processing, _ *tracing.Messages) { p.End(errors.New(tt.quoted)) },
			"send": func(p tracing.Processing, m *tracing.Messages) {
				p.End(nil)
				_, _, sending := m.StartSend(context.Background(), text, nil)
				sending.End(errors.New(tt.quoted))
			},
		} {
			s := newSetUp(t)
			m, err := s.Messages(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			_, _, p := m.StartReceive(context.Background(), text, nil)
			fail(p, m)
			ended := s.recorder.Ended()
			span := ended[len(ended)-1]
			var event string
			for _, a := range span.Events()[0].Attributes {
				if a.Key == "exception.message" {
					event = a.Value.AsString()
				}
			}
			if got := span.Status().Description; got != tt.want || event != tt.want {
				t.Errorf("%s: status %.20q (%d bytes), event %.20q (%d bytes), want %.20q (%d bytes)", name, got, len(got), event, len(event), tt.want, len(tt.want))
			}
		}
	}
}

// The parent of a sent message is the span in the handler's context. The handshake is
// only a link.
func TestSendParent(t *testing.T) {
	s := newSetUp(t)
	server, client := s.pair(t, nil)
	ctx, span := s.provider.Tracer("test").Start(context.Background(), "local")
	for _, ctx := range []context.Context{s.ctx, ctx} {
		if err := client.Send(ctx, text, nil); err != nil {
			t.Fatal(err)
		}
	}
	span.End()
	n := 0
	err := server.Serve(t.Context(), func(context.Context, websocket.MessageType, []byte) error {
		if n++; n == 2 {
			go client.Unwrap().Close(websocket.StatusNormalClosure, "")
		}
		return tracing.KeepServing(errEnough)
	})
	if websocket.CloseStatus(err) != websocket.StatusNormalClosure || n != 2 {
		t.Errorf("Serve: %v after %d messages", err, n)
	}
	noSize := func(links string) string { return "producer send " + links + " " + fmt.Sprintf(sent, "text") }
	s.expect(t, handshakeSpan, noSize("link=handshake"), noSize("parent=local link=handshake"), "internal local",
		failedSpan("link=handshake", "text", 0), failedSpan("link=handshake", "text", 0))
}

// Without spans, the context of the handshake is not passed on in each message, nor to each handler.
func TestNoopProvider(t *testing.T) {
	in, err := tracing.New(tracing.WithTracerProvider(noop.NewTracerProvider()))
	if err != nil {
		t.Fatal(err)
	}
	ctx := newSetUp(t).ctx
	m, err := in.Messages(ctx, tracing.JSON())
	if err != nil {
		t.Fatal(err)
	}
	handled, _, _ := m.StartReceive(ctx, text, []byte(`{}`))
	if sc := trace.SpanContextFromContext(handled); sc.IsValid() {
		t.Errorf("the handler is in the trace %v", sc.TraceID())
	}
	for name, ctx := range map[string]context.Context{"handshake": ctx, "handler": handled} {
		if _, message, _ := m.StartSend(ctx, text, []byte(`{}`)); string(message) != `{}` {
			t.Errorf("sent in the context of the %s: %s", name, message)
		}
	}
}

func TestMalformedContext(t *testing.T) {
	const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, message := range []string{
		`{"traceparent":"` + valid + `0"}`,
		`{"traceparent":"00-00000000000000000000000000000000-b7ad6b7169203331-01"}`,
		`{"traceparent":1}`, `{"traceparent":""}`, `{"nested":{"traceparent":"` + valid + `"}}`,
		`{"traceparent":"` + valid + `"`, `["traceparent","` + valid + `"]`,
		`{"traceparent":"` + valid + `","traceparent":null}`,
	} {
		s := newSetUp(t)
		m, err := s.Messages(s.ctx, tracing.JSON(), tracing.TrustPeer())
		if err != nil {
			t.Fatal(err)
		}
		_, payload, p := m.StartReceive(s.ctx, text, []byte(message))
		p.End(nil)
		if string(payload) != message {
			t.Errorf("%s became %s", message, payload)
		}
		s.expect(t, handshakeSpan, processSpan("link=handshake", "text", len(message)))
	}
}

func TestBroadcast(t *testing.T) {
	s := newSetUp(t)
	plain, plainPeer := s.pair(t, nil)
	enveloped, envelopedPeer := s.pair(t, tracing.Subprotocols())
	gone, _ := s.pair(t, nil)
	object, objectPeer := s.pair(t, nil, tracing.JSON())
	if err := gone.Unwrap().CloseNow(); err != nil {
		t.Fatal(err)
	}
	failed := s.Broadcast(s.ctx, text, []byte(`{}`), []*tracing.Conn{plain, enveloped, gone, object}, nil)
	if len(failed) != 1 || failed[gone] == nil {
		t.Fatalf("failed: %v", failed)
	}
	for _, peer := range []*tracing.Conn{plainPeer, envelopedPeer, objectPeer} {
		if err := peer.Serve(t.Context(), func(context.Context, websocket.MessageType, []byte) error { return errEnough }); err != errEnough {
			t.Fatal(err)
		}
	}
	var broadcasts []trace.SpanID
	for _, span := range s.recorder.Ended() {
		for _, a := range span.Attributes() {
			switch {
			case a.Key == "ws.broadcast.delivered" && a.Value.AsInt64() == 3,
				a.Key == "ws.broadcast.failed" && a.Value.AsInt64() == 1:
				broadcasts = append(broadcasts, span.SpanContext().SpanID())
				if span.Parent().IsValid() || len(span.Links()) > 0 {
					t.Errorf("parent %v, links %v", span.Parent(), span.Links())
				}
			}
		}
	}
	if len(broadcasts) != 2 || broadcasts[0] != broadcasts[1] {
		t.Errorf("counts on spans %v, want both on one", broadcasts)
	}
}
