package tracing

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// SchemaURL identifies the version of the semantic conventions for spans and metrics. Only this
// file imports the conventions.
const SchemaURL = semconv.SchemaURL

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

// Attributes of the HTTP conventions, for handshakes.

var errorNoResponse = semconv.ErrorTypeKey.String("no_response")

func httpRoute(route string) attribute.KeyValue    { return semconv.HTTPRoute(route) }
func responseStatus(status int) attribute.KeyValue { return semconv.HTTPResponseStatusCode(status) }
func errorStatus(status int) attribute.KeyValue {
	return semconv.ErrorTypeKey.String(strconv.Itoa(status))
}
func urlPath(path string) attribute.KeyValue     { return semconv.URLPath(cut(path)) }
func urlScheme(scheme string) attribute.KeyValue { return semconv.URLScheme(scheme) }
func userAgent(agent string) attribute.KeyValue  { return semconv.UserAgentOriginal(cut(agent)) }
func errorCode(c websocket.StatusCode) attribute.KeyValue {
	return semconv.ErrorTypeKey.String(strconv.Itoa(int(c)))
}

func requestMethod(method string) attribute.KeyValue {
	if methodName(method) == "HTTP" {
		return semconv.HTTPRequestMethodOther
	}
	return semconv.HTTPRequestMethodKey.String(methodName(method))
}

func protocolVersion(major, minor int) attribute.KeyValue {
	return semconv.NetworkProtocolVersion(fmt.Sprintf("%d.%d", major, minor))
}

// urlFull removes parts that may be secret: the user, and the query, in which browsers have to send
// tokens.
func urlFull(u *url.URL) attribute.KeyValue {
	public := *u
	public.User, public.RawQuery, public.Fragment = nil, "", ""
	return semconv.URLFull(cut(public.String()))
}

// MaxAttribute is the maximum length, in bytes, of a span attribute whose text comes from a peer.
// It limits memory, because thousands of spans may wait for a slow exporter.
const MaxAttribute = 1 << 10

// cut returns a copy of s, of at most MaxAttribute bytes. It copies, because a path is a part of
// the whole request line in memory.
func cut(s string) string {
	if len(s) <= MaxAttribute {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(strings.Clone(s[:MaxAttribute]), "")
}

func appendServer(attrs []attribute.KeyValue, hostport string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "" {
		return attrs
	}
	attrs = append(attrs, semconv.ServerAddress(cut(host)))
	if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, semconv.ServerPort(n))
	}
	return attrs
}

func appendPeer(attrs []attribute.KeyValue, remoteAddr string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		return attrs
	}
	attrs = append(attrs, semconv.NetworkPeerAddress(host))
	if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, semconv.NetworkPeerPort(n))
	}
	return attrs
}

// routeOf returns the path in a pattern of [net/http.ServeMux].
func routeOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return pattern
}
