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

// SchemaURL is the version of the semantic conventions that spans and metrics keep
// to. This is the only file that imports them.
const SchemaURL = semconv.SchemaURL

// Attributes of the messaging conventions, and of none where those have no
// word for it. A WebSocket is no broker: what would name one is left out.
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

// urlFull leaves out what may be secret: the user, and the query, which is
// where browsers have to put a token.
func urlFull(u *url.URL) attribute.KeyValue {
	public := *u
	public.User, public.RawQuery, public.Fragment = nil, "", ""
	return semconv.URLFull(cut(public.String()))
}

// MaxAttribute is how many bytes of a text that a peer chose an attribute of a
// handshake's span holds. Thousands of spans may wait for a slow exporter.
const MaxAttribute = 1 << 10

// cut returns the beginning of s, in memory of its own: a path is a part of the
// whole request line.
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

// routeOf is the path of a pattern of [net/http.ServeMux].
func routeOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return pattern
}
