package tracing_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing"
)

func spanContext(flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags})
}

func TestPolicies(t *testing.T) {
	sampled, not, none := spanContext(trace.FlagsSampled), spanContext(0), trace.SpanContext{}
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{3}, SpanID: trace.SpanID{4}, TraceFlags: trace.FlagsSampled})
	never, rate := tracing.Ratio(0), tracing.RateLimit(1e-6, 2)
	for _, c := range []struct {
		name              string
		policy            tracing.Policy
		handshake, parent trace.SpanContext
		spans             int    // expected spans for four messages
		reason            string // why the other messages have no span
	}{
		{"handshake sampled", tracing.Handshake(), sampled, none, 4, ""},
		{"handshake not sampled", tracing.Handshake(), not, none, 0, "handshake"},
		{"no handshake", tracing.Handshake(), none, none, 4, ""},
		{"ratio 0", never, sampled, none, 0, "ratio"},
		{"ratio 1", tracing.Ratio(1), sampled, none, 4, ""},
		{"rate", rate, sampled, none, 2, "rate"},
		{"parent", tracing.ParentBased(never), sampled, parent, 4, ""},
		{"parent not sampled", tracing.ParentBased(tracing.Ratio(1)), sampled, parent.WithTraceFlags(0), 0, "parent"},
		{"no parent", tracing.ParentBased(never), sampled, none, 0, "ratio"},
		{"all", tracing.AllOf(tracing.Handshake(), rate), sampled, none, 2, "rate"},
		{"all, first refuses", tracing.AllOf(tracing.Handshake(), rate), not, none, 0, "handshake"},
		{"any", tracing.AnyOf(never, rate), sampled, none, 2, "rate"},
		{"any, first passes", tracing.AnyOf(tracing.Ratio(1), never), sampled, none, 4, ""},
		{"nested", tracing.AllOf(tracing.ParentBased(tracing.AnyOf(never, tracing.Handshake())), rate), sampled, none, 2, "rate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			s := newSetUp(t, tracing.WithSampling(c.policy), tracing.WithMeterProvider(m.MeterProvider()))
			messages, err := s.Messages(trace.ContextWithSpanContext(context.Background(), c.handshake))
			if err != nil {
				t.Fatal(err)
			}
			ctx := trace.ContextWithSpanContext(context.Background(), c.parent)
			for range 4 {
				_, _, sending := messages.StartSend(ctx, text, nil)
				sending.End(nil)
			}
			if got := len(s.recorder.Ended()) - 1; got != c.spans {
				t.Errorf("%d spans, want %d", got, c.spans)
			}
			if c.reason != "" {
				m.Wait(t, `ws_message_spans_suppressed_total{reason="`+c.reason+`"}`, float64(4-c.spans))
			}
		})
	}
}

// The context of a suppressed message makes parent-based samplers drop its children.
func TestSuppressedContext(t *testing.T) {
	s := newSetUp(t, tracing.WithSampling(tracing.Ratio(0)))
	messages, err := s.Messages(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[trace.TraceID]bool)
	for range 3 {
		ctx, _, p := messages.StartReceive(s.ctx, text, nil)
		p.End(nil)
		sc := trace.SpanContextFromContext(ctx)
		if !sc.IsValid() || sc.IsSampled() || seen[sc.TraceID()] {
			t.Errorf("span context %v is invalid, sampled or seen before", sc)
		}
		seen[sc.TraceID()] = true
		_, child := s.provider.Tracer("test").Start(ctx, "child")
		child.End()
	}
	trusted, err := s.Messages(s.ctx, tracing.JSON(), tracing.TrustPeer())
	if err != nil {
		t.Fatal(err)
	}
	ctx, _, _ := trusted.StartReceive(s.ctx, text, []byte(`{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`))
	sc := trace.SpanContextFromContext(ctx)
	if sc.IsSampled() || sc.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("span context %v, want the parent's, not sampled", sc)
	}
	s.expect(t, handshakeSpan)
}

func TestNewErrors(t *testing.T) {
	for _, p := range []tracing.Policy{
		nil, tracing.Ratio(2), tracing.Ratio(-1), tracing.RateLimit(0, 1), tracing.RateLimit(1, 0),
		tracing.ParentBased(nil), tracing.AnyOf(), tracing.AllOf(nil),
	} {
		if _, err := tracing.New(tracing.WithSampling(p)); err == nil {
			t.Errorf("New accepted %v", p)
		}
	}
	if _, err := tracing.New(nil); err == nil {
		t.Error("New accepted a nil option")
	}
}

func TestProcessDuration(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	s := newSetUp(t, tracing.WithSampling(tracing.Ratio(0)), tracing.WithMeterProvider(m.MeterProvider()))
	for _, opts := range [][]tracing.ConnOption{nil, {tracing.Dialed()}} {
		messages, err := s.Messages(s.ctx, opts...)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{nil, nil, errEnough} {
			_, _, p := messages.StartReceive(s.ctx, text, nil)
			p.End(err)
		}
	}
	m.Wait(t, "ws_message_process_duration_seconds_count", 2)
	m.Wait(t, `ws_message_process_duration_seconds_count{error_type="_OTHER"}`, 1)
	m.Wait(t, "ws_client_message_process_duration_seconds_count", 2)
}
