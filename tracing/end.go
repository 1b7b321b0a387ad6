package tracing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Processing represents a received message in process. [Messages.StartReceive] returns it.
type Processing struct {
	messages *Messages
	ctx      context.Context
	span     trace.Span // nil if a policy refused it
	start    time.Time
	kinded   *kinded // nil without kinds
}

// End ends the span of the message, and records the time of the handler. If err is not nil, the
// span has an error. Call End exactly once.
func (p Processing) End(err error) {
	if err == nil {
		p.end(outcomeDone)
		return
	}
	fail(p.span, err, errorType)
	p.end(outcomeError)
}

// panicked is End for a handler that panicked with v.
func (p Processing) panicked(v any) {
	fail(p.span, fmt.Errorf("panic: %v", v), func(error) attribute.KeyValue { return errorPanic })
	p.end(outcomePanic)
}

func (p Processing) end(o outcome) {
	end(p.span)
	defer contain(nil)
	in := p.messages.in.instruments
	in.process[p.messages.role].Record(p.ctx, time.Since(p.start).Seconds(), p.options(o)...)
}

// Sending represents a message that is being sent. [Messages.StartSend] returns it.
type Sending struct{ span trace.Span }

// End ends the span of the message. If err is not nil, the span has an error. Call End exactly
// once.
func (s Sending) End(err error) {
	if err != nil {
		fail(s.span, err, errorType)
	}
	end(s.span)
}

// end ends s, unless it is nil.
func end(s trace.Span) {
	defer contain(nil)
	if s != nil {
		s.End()
	}
}

func fail(s trace.Span, err error, typ func(error) attribute.KeyValue) {
	defer contain(nil)
	if s == nil || !s.IsRecording() {
		return
	}
	shown := exportable(err)
	s.RecordError(shown)
	s.SetStatus(codes.Error, shown.Error())
	s.SetAttributes(typ(err))
}

// maxErrorText is the maximum length, in bytes, of an error's text on a span. It limits memory,
// because thousands of spans may wait for a slow exporter.
const maxErrorText = 4 << 10

// exportable returns err, or an error with a part of its text. An error may quote the message, and
// OTLP would lose all spans of an export if one text in it is not valid UTF-8.
func exportable(err error) error {
	text := err.Error()
	if len(text) <= maxErrorText && utf8.ValidString(text) {
		return err
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return errors.New(text)
}
