package tracing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
	"github.com/otelws/otelws-go/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const text, binary = websocket.MessageText, websocket.MessageBinary

// setUp holds an Instrumentation, the handshake of its connections, and their
// recorded spans.
type setUp struct {
	*tracing.Instrumentation
	ctx      context.Context // of the handshake
	provider *sdktrace.TracerProvider
	recorder *tracetest.SpanRecorder
}

func newSetUp(t testing.TB, opts ...tracing.Option) *setUp {
	t.Helper()
	s := &setUp{recorder: tracetest.NewSpanRecorder()}
	s.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.recorder))
	tr, err := tracing.New(append([]tracing.Option{
		tracing.WithTracerProvider(s.provider), tracing.WithMeterProvider(metricnoop.NewMeterProvider()),
		tracing.WithSampling(),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	s.Instrumentation = tr
	ctx, handshake := s.provider.Tracer("test").Start(context.Background(), "handshake")
	handshake.End()
	s.ctx = ctx
	return s
}

// pair returns both ends of a connection.
func (s *setUp) pair(t testing.TB, subprotocols []string, opts ...tracing.ConnOption) (server, client *tracing.Conn) {
	t.Helper()
	ws, err := otelws.New(otelws.WithMeterProvider(metricnoop.NewMeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	a, b := otelwstest.Pair(t, ws, &websocket.AcceptOptions{Subprotocols: subprotocols},
		&websocket.DialOptions{Subprotocols: subprotocols})
	return s.conn(t, a, opts...), s.conn(t, b, opts...)
}

func (s *setUp) conn(t testing.TB, c *websocket.Conn, opts ...tracing.ConnOption) *tracing.Conn {
	t.Helper()
	conn, err := s.Conn(s.ctx, c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// expect compares the ended spans in their order, one line each.
func (s *setUp) expect(t testing.TB, want ...string) {
	t.Helper()
	names := make(map[trace.SpanID]string)
	var got []string
	for _, span := range s.recorder.Ended() {
		names[span.SpanContext().SpanID()] = strings.Fields(span.Name())[0]
		got = append(got, span.Name())
	}
	named := func(sc trace.SpanContext) string {
		if name, ok := names[sc.SpanID()]; ok {
			return name
		}
		return sc.SpanID().String()
	}
	for k, span := range s.recorder.Ended() {
		line := []string{span.SpanKind().String(), span.Name()}
		if span.Parent().IsValid() {
			line = append(line, "parent="+named(span.Parent()))
		}
		for _, l := range span.Links() {
			line = append(line, "link="+named(l.SpanContext))
		}
		attrs := span.Attributes()
		slices.SortFunc(attrs, func(a, b attribute.KeyValue) int { return strings.Compare(string(a.Key), string(b.Key)) })
		for _, a := range attrs {
			line = append(line, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
		}
		if st := span.Status(); st.Description != "" {
			line = append(line, "status="+st.Description)
		}
		for _, e := range span.Events() {
			line = append(line, "event="+e.Name)
		}
		got[k] = strings.Join(line, " ")
	}
	if !slices.Equal(got, want) {
		t.Errorf("spans are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
