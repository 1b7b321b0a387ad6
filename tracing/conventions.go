package tracing

import (
	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// schemaURL identifies the version of the semantic conventions. Only this file imports them.
const schemaURL = semconv.SchemaURL

// Attributes of the messaging conventions, or our own if the conventions have none. Attributes that
// describe a broker are left out, because a WebSocket has no broker.
var (
	messagingSystem = semconv.MessagingSystemKey.String("websocket")

	operationProcess = []attribute.KeyValue{
		semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
	}
	operationSend = []attribute.KeyValue{
		semconv.MessagingOperationName("send"), semconv.MessagingOperationTypeSend,
	}

	opcodeText   = attribute.String("opcode", "text")
	opcodeBinary = attribute.String("opcode", "binary")

	errorPanic = semconv.ErrorTypeKey.String("panic")
	errorOther = semconv.ErrorTypeOther
)

const (
	keyBodySize  = semconv.MessagingMessageBodySizeKey
	keyDelivered = attribute.Key("ws.broadcast.delivered")
	keyFailed    = attribute.Key("ws.broadcast.failed")
	keyReason    = attribute.Key("reason")
	keyKind      = attribute.Key("kind")
)

func destinationTemplate(pattern string) attribute.KeyValue {
	return semconv.MessagingDestinationTemplate(pattern)
}

func errorType(err error) attribute.KeyValue { return semconv.ErrorType(err) }

func opcode(typ websocket.MessageType) attribute.KeyValue {
	if typ == websocket.MessageText {
		return opcodeText
	}
	return opcodeBinary
}
