package span

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

var errorNoResponse = semconv.ErrorTypeKey.String("no_response")

func httpRoute(route string) attribute.KeyValue    { return semconv.HTTPRoute(route) }
func responseStatus(status int) attribute.KeyValue { return semconv.HTTPResponseStatusCode(status) }
func errorStatus(status int) attribute.KeyValue {
	return semconv.ErrorTypeKey.String(strconv.Itoa(status))
}
func urlPath(path string) attribute.KeyValue     { return semconv.URLPath(Cut(path)) }
func urlScheme(scheme string) attribute.KeyValue { return semconv.URLScheme(scheme) }
func userAgent(agent string) attribute.KeyValue  { return semconv.UserAgentOriginal(Cut(agent)) }
func errorCode(c websocket.StatusCode) attribute.KeyValue {
	return semconv.ErrorTypeKey.String(strconv.Itoa(int(c)))
}

func appendMethod(attrs []attribute.KeyValue, method string) []attribute.KeyValue {
	name := methodName(method)
	if name == methodOther {
		return append(attrs, semconv.HTTPRequestMethodOther, semconv.HTTPRequestMethodOriginal(Cut(method)))
	}
	return append(attrs, semconv.HTTPRequestMethodKey.String(name))
}

func protocolVersion(major, minor int) attribute.KeyValue {
	return semconv.NetworkProtocolVersion(fmt.Sprintf("%d.%d", major, minor))
}

// urlFull removes parts that may be secret: the user, and the query, in which browsers have to send
// tokens.
func urlFull(u *url.URL) attribute.KeyValue {
	public := *u
	public.User, public.RawQuery, public.Fragment = nil, "", ""
	return semconv.URLFull(Cut(public.String()))
}

// MaxAttribute is the maximum length, in bytes, of a span attribute whose text comes from a peer.
// It limits memory, because thousands of spans may wait for a slow exporter.
const MaxAttribute = 1 << 10

// Cut returns a copy of s, of at most MaxAttribute bytes. Bytes that are not valid UTF-8 are replaced:
// otherwise a peer could send one, and OTLP would lose all spans of that export. It copies, because a
// path is a part of the whole request line in memory.
func Cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > MaxAttribute {
		s = strings.ToValidUTF8(s[:MaxAttribute], "")
	}
	return strings.Clone(s)
}

func appendServer(attrs []attribute.KeyValue, hostport string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil { // there is no port
		host = strings.Trim(hostport, "[]")
	}
	if host == "" {
		return attrs
	}
	attrs = append(attrs, semconv.ServerAddress(Cut(host)))
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
	attrs = append(attrs, semconv.NetworkPeerAddress(Cut(host)))
	if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, semconv.NetworkPeerPort(n))
	}
	return attrs
}

// RouteOf returns the path in a pattern of [net/http.ServeMux].
func RouteOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return pattern
}
