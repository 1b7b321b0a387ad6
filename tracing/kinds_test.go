package tracing_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing"
	"github.com/otelws/otelws-go/tracing/messagekind"
)

var (
	byType    = messagekind.JSONMember("type")
	chatKinds = []string{"chat", "typing"}
)

// counts returns the samples of m with counts by kind.
func counts(m *otelwstest.Metrics, metrics ...string) string {
	var lines []string
	for line := range strings.Lines(m.Changed()) {
		for _, name := range metrics {
			if strings.HasPrefix(line, name+"{") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// With one declaration, the tap counts messages by kind, and handler times and spans
// have the kind. This applies with and without an envelope, and with and without
// spans.
func TestMessageKinds(t *testing.T) {
	for _, tt := range []struct {
		name         string
		subprotocols []string
		sampling     []tracing.Policy
	}{
		{"plain", nil, nil},
		{"enveloped", tracing.Subprotocols("chat.v1"), nil},
		{"suppressed", nil, []tracing.Policy{tracing.Ratio(0)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			s := newSetUp(t, tracing.WithMeterProvider(m.MeterProvider()), tracing.WithMessageKinds(byType, chatKinds...),
				tracing.WithSampling(tt.sampling...))
			ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), otelws.WithMessageKinds(byType, chatKinds...))
			if err != nil {
				t.Fatal(err)
			}
			a, b := otelwstest.Pair(t, ws, &websocket.AcceptOptions{Subprotocols: tt.subprotocols},
				&websocket.DialOptions{Subprotocols: tt.subprotocols})
			server, client := s.conn(t, a), s.conn(t, b, tracing.Dialed())
			served := make(chan error)
			go func() {
				served <- server.Serve(s.ctx, func(ctx context.Context, typ websocket.MessageType, data []byte) error {
					if string(data) == "typing" {
						return tracing.SetMessageKind(ctx, "typing")
					}
					if strings.Contains(string(data), "fail") {
						return tracing.KeepServing(errors.New("failed"))
					}
					return nil
				})
			}()
			for _, message := range []string{
				`{"type":"chat"}`, `{"type":"chat","text":"fail"}`, `{"type":"typing"}`, `{"type":"shout"}`, `{}`, `typing`,
			} {
				if err := client.Send(s.ctx, text, []byte(message)); err != nil {
					t.Fatal(err)
				}
			}
			_ = b.Close(websocket.StatusNormalClosure, "")
			<-served
			const want = `ws_message_process_duration_seconds_count{error_type="_OTHER",kind="chat"} 1
ws_message_process_duration_seconds_count{kind="chat"} 1
ws_message_process_duration_seconds_count{kind="none"} 1
ws_message_process_duration_seconds_count{kind="other"} 1
ws_message_process_duration_seconds_count{kind="typing"} 2
ws_messages_total{kind="chat",network_io_direction="receive"} 2
ws_messages_total{kind="none",network_io_direction="receive"} 2
ws_messages_total{kind="other",network_io_direction="receive"} 1
ws_messages_total{kind="typing",network_io_direction="receive"} 1`
			if diff := cmp.Diff(want, counts(m, "ws_message_process_duration_seconds_count", "ws_messages_total")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			var spans []string
			for _, span := range s.recorder.Ended() {
				for _, a := range span.Attributes() {
					if a.Key == "kind" {
						spans = append(spans, span.Name()+" "+a.Value.AsString())
					}
				}
			}
			all := strings.Join(spans, ", ")
			for _, want := range []string{"process chat", "send chat", "process typing", "send other", "process none", "send none"} {
				if (tt.sampling == nil) != strings.Contains(all, want) {
					t.Errorf("%s: spans %s", want, all)
				}
			}
			if n := strings.Count(all, "process typing"); tt.sampling == nil && n != 2 {
				t.Errorf("%d spans of a handler that said typing, or whose message did: %s", n, all)
			}
		})
	}
}

type key struct{}

// A message whose handler panics is counted by its kind. A handler may set a kind
// that is not declared, which counts as other.
func TestSetMessageKind(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	s := newSetUp(t, tracing.WithMeterProvider(m.MeterProvider()), tracing.WithMessageKinds(byType, chatKinds...))
	messages, err := s.Messages(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"chat", "shout", ""} {
		ctx, _, p := messages.StartReceive(s.ctx, text, []byte(`{"type":"typing"}`))
		if err := tracing.SetMessageKind(context.WithValue(ctx, key{}, 1), kind); err != nil {
			t.Error(err)
		}
		p.End(nil)
	}
	_, _, p := messages.StartReceive(s.ctx, binary, nil)
	p.End(nil)
	if got := counts(m, "ws_message_process_duration_seconds_count"); got != `ws_message_process_duration_seconds_count{kind="chat"} 1
ws_message_process_duration_seconds_count{kind="other"} 3` {
		t.Error(got)
	}
	server, client := s.pair(t, nil)
	panicked := make(chan any)
	go func() {
		defer func() { panicked <- recover() }()
		_ = server.Serve(s.ctx, func(ctx context.Context, _ websocket.MessageType, _ []byte) error {
			_ = tracing.SetMessageKind(ctx, "chat")
			panic("no")
		})
	}()
	if err := client.Send(s.ctx, text, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if v := <-panicked; v != "no" {
		t.Errorf("recovered %v", v)
	}
	m.Wait(t, `ws_message_process_duration_seconds_count{error_type="panic",kind="chat"}`, 1)
}

func TestSetMessageKindErrors(t *testing.T) {
	s := newSetUp(t)
	messages, err := s.Messages(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	ctx, _, p := messages.StartReceive(s.ctx, text, []byte("{}"))
	defer p.End(nil)
	for _, ctx := range []context.Context{s.ctx, ctx} {
		if err := tracing.SetMessageKind(ctx, "chat"); err == nil || !strings.Contains(err.Error(), `failed to set the message kind "chat"`) {
			t.Errorf("error %v", err)
		}
	}
	for want, opts := range map[string][]tracing.Option{
		"tracing: message kinds: JSONMember has no kinds": {tracing.WithMessageKinds(byType)},
		"tracing: message kinds are declared twice":       {tracing.WithMessageKinds(byType, "a"), tracing.WithMessageKinds(byType, "a")},
	} {
		if _, err := tracing.New(opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
}
