package tracing

import (
	"fmt"

	"go.opentelemetry.io/otel"
)

// contain reports a panic of the application's TracerProvider or MeterProvider, and calls instead
// unless it is nil. Such a panic must cost the span alone, never the message.
func contain(instead func()) {
	if v := recover(); v != nil {
		otel.Handle(fmt.Errorf("tracing: a span or a measurement of a message is lost, because a provider panicked: %v", v))
		if instead != nil {
			instead()
		}
	}
}
