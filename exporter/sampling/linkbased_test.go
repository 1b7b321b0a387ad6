package sampling_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelws/otelws-go/exporter/sampling"
)

var (
	on  = spanContext(trace.FlagsSampled, "")
	off = spanContext(0, "")
)

func spanContext(flags trace.TraceFlags, state string) trace.SpanContext {
	ts, err := trace.ParseTraceState(state)
	if err != nil {
		panic(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags, TraceState: ts,
	})
}

func TestLinkBased(t *testing.T) {
	always, never := sdktrace.AlwaysSample(), sdktrace.NeverSample()
	for _, tt := range []struct {
		name    string
		sampler sdktrace.Sampler
		parent  trace.SpanContext
		links   []trace.SpanContext
		want    bool
	}{
		{"no link, root samples", sampling.LinkBased(always), trace.SpanContext{}, nil, true},
		{"no link, root does not", sampling.LinkBased(never), trace.SpanContext{}, nil, false},
		{"no root", sampling.LinkBased(nil), trace.SpanContext{}, nil, true},
		{"sampled link", sampling.LinkBased(never), trace.SpanContext{}, []trace.SpanContext{on}, true},
		{"unsampled link", sampling.LinkBased(always), trace.SpanContext{}, []trace.SpanContext{off}, false},
		{"sampled link last", sampling.LinkBased(never), trace.SpanContext{}, []trace.SpanContext{off, {}, on}, true},
		{"sampled link first", sampling.LinkBased(never), trace.SpanContext{}, []trace.SpanContext{on, off}, true},
		{"several unsampled links", sampling.LinkBased(always), trace.SpanContext{}, []trace.SpanContext{off, off}, false},
		{"invalid link, root samples", sampling.LinkBased(always), trace.SpanContext{}, []trace.SpanContext{{}}, true},
		{"invalid link, root does not", sampling.LinkBased(never), trace.SpanContext{}, []trace.SpanContext{{}}, false},
		{"unsampled and invalid link", sampling.LinkBased(always), trace.SpanContext{}, []trace.SpanContext{off, {}}, false},
		{"linked sampled set", sampling.LinkBased(always, sampling.WithLinkedSampled(never)), trace.SpanContext{}, []trace.SpanContext{on}, false},
		{"linked not sampled set", sampling.LinkBased(never, sampling.WithLinkedNotSampled(always)), trace.SpanContext{}, []trace.SpanContext{off}, true},
		{"nil samplers", sampling.LinkBased(always, nil, sampling.WithLinkedNotSampled(nil), sampling.WithLinkedSampled(nil)), trace.SpanContext{}, []trace.SpanContext{off}, false},
		{"parent is disregarded", sampling.LinkBased(always), on, []trace.SpanContext{off}, false},
		{"sampled parent first", sdktrace.ParentBased(sampling.LinkBased(never)), on, []trace.SpanContext{off}, true},
		{"unsampled parent first", sdktrace.ParentBased(sampling.LinkBased(always)), off, []trace.SpanContext{on}, false},
		{"no parent, then the link", sdktrace.ParentBased(sampling.LinkBased(never)), trace.SpanContext{}, []trace.SpanContext{on}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recorder := tracetest.NewSpanRecorder()
			tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(tt.sampler), sdktrace.WithSpanProcessor(recorder))
			var links []trace.Link
			for _, sc := range tt.links {
				links = append(links, trace.Link{SpanContext: sc})
			}
			ctx := trace.ContextWithSpanContext(context.Background(), tt.parent)
			_, span := tp.Tracer("test").Start(ctx, "message", trace.WithLinks(links...))
			span.End()
			if got := span.SpanContext().IsSampled(); got != tt.want || len(recorder.Ended()) == 1 != tt.want {
				t.Errorf("sampled %v, %d spans recorded; want %v", got, len(recorder.Ended()), tt.want)
			}
		})
	}
}

func TestLinkBasedKeepsTracestate(t *testing.T) {
	parent := trace.ContextWithSpanContext(context.Background(), spanContext(0, "vendor=parent"))
	linked := spanContext(trace.FlagsSampled, "vendor=linked")
	for _, links := range [][]trace.Link{nil, {{SpanContext: linked}}, {{SpanContext: off}}} {
		got := sampling.LinkBased(sdktrace.AlwaysSample()).ShouldSample(sdktrace.SamplingParameters{ParentContext: parent, Links: links})
		if s := got.Tracestate.String(); s != "vendor=parent" {
			t.Errorf("tracestate %q with %d links, want the parent's", s, len(links))
		}
	}
}

func TestLinkBasedDescription(t *testing.T) {
	s := sampling.LinkBased(sdktrace.TraceIDRatioBased(0.1), sampling.WithLinkedNotSampled(sdktrace.AlwaysSample()))
	const want = "LinkBased{root:TraceIDRatioBased{0.1},linkedSampled:AlwaysOnSampler,linkedNotSampled:AlwaysOnSampler}"
	if got := s.Description(); got != want {
		t.Errorf("description %q, want %q", got, want)
	}
}

func TestLinkBasedAllocatesNothing(t *testing.T) {
	s := sampling.LinkBased(sdktrace.AlwaysSample())
	p := sdktrace.SamplingParameters{ParentContext: context.Background(), Links: []trace.Link{{SpanContext: off}}}
	if n := testing.AllocsPerRun(100, func() { s.ShouldSample(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
