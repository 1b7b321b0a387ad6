package proxy

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
)

const webSocket = "websocket"

var (
	errUpgrade = errors.New("the backend switched to a protocol that the client did not ask for")
	errAccept  = errors.New("the backend's Sec-WebSocket-Accept does not match the client's Sec-WebSocket-Key")
)

// protocols are the protocols besides WebSocket that a client may switch to. The
// proxy tunnels them without reading them.
type protocols []string

func newProtocols(names []string) (protocols, error) {
	for _, name := range names {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),:;<=>?@[\]{}`, r)
		}) {
			return nil, fmt.Errorf("upgrade %q: use the name of a protocol, such as tunnel/1", name)
		}
	}
	return names, nil
}

// choose returns the protocol to ask the backend for, or "" for an ordinary request.
// Of the protocols in the Upgrade header it prefers WebSocket, then the first allowed
// one. A server may ignore an Upgrade (RFC 9110 section 7.8), so the proxy ignores
// unknown protocols.
func (ps protocols) choose(h http.Header) (protocol string) {
	if !hasToken(h, "Connection", "upgrade") {
		return ""
	}
	for name := range listOf(h, "Upgrade") {
		switch {
		case strings.EqualFold(name, webSocket):
			return webSocket
		case protocol == "" && slices.ContainsFunc(ps, func(p string) bool { return strings.EqualFold(p, name) }):
			protocol = name
		}
	}
	return protocol
}

// ask makes protocol the only one that the request asks for.
func ask(h http.Header, protocol string) {
	h.Del("Http2-Settings")
	if protocol == "" {
		h.Del("Upgrade")
		return
	}
	h["Upgrade"] = []string{protocol}
}

// webSocketOffer is the header of a refusal that names the supported handshake (RFC
// 6455 section 4.4).
var webSocketOffer = http.Header{"Upgrade": {webSocket}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}}

// refuseSwitch returns a refusal if a request to switch protocols is invalid. The
// backend might understand such a request differently from the instrumentation.
func refuseSwitch(r *http.Request, protocol string) *refusal {
	no := func(status int, text string, header http.Header) *refusal {
		return &refusal{reason: refusedHandshake, status: status, text: text, header: header}
	}
	h := r.Header
	switch {
	case r.ContentLength != 0:
		return &refusal{reason: refusedBody, status: http.StatusBadRequest, text: "a request to switch protocols must not have a body"}
	case !r.ProtoAtLeast(1, 1):
		return no(http.StatusUpgradeRequired, "switching protocols requires HTTP/1.1", webSocketOffer)
	case protocol != webSocket:
		return nil
	case r.Method != http.MethodGet:
		return no(http.StatusMethodNotAllowed, "a WebSocket handshake must be a GET request", http.Header{"Allow": {"GET"}})
	case len(h["Sec-Websocket-Version"]) != 1 || h["Sec-Websocket-Version"][0] != "13":
		return no(http.StatusUpgradeRequired, "a WebSocket handshake must have the header Sec-WebSocket-Version: 13", webSocketOffer)
	case len(h["Sec-Websocket-Key"]) != 1 || !isKey(h["Sec-Websocket-Key"][0]):
		return no(http.StatusBadRequest, "a WebSocket handshake must have one Sec-WebSocket-Key, 16 bytes in base64", nil)
	}
	for token := range listOf(h, "Connection") {
		if strings.HasPrefix(strings.ToLower(token), "sec-websocket-") {
			return no(http.StatusBadRequest, "the Connection header must not list a Sec-WebSocket header", nil)
		}
	}
	return nil
}

func isKey(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 16
}

// switchChecker refuses a switch of protocols that the client did not ask for, and a WebSocket
// response that does not answer the request: a client would fail the connection (RFC 6455
// section 4.1). The instrumentation above does not see the refused response, so both sides
// count no connection.
type switchChecker struct{ http.RoundTripper }

func (t switchChecker) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	if err := upgraded(resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// upgraded checks a 101 response. It also removes the headers that concern only the
// connection between proxy and backend.
func upgraded(resp *http.Response) error {
	asked := protocolOf(resp.Request.Header)
	if _, ok := resp.Body.(io.ReadWriteCloser); !ok || asked == "" || !strings.EqualFold(asked, protocolOf(resp.Header)) {
		return errUpgrade
	}
	if asked == webSocket && !slices.Equal(resp.Header["Sec-Websocket-Accept"], []string{acceptOf(resp.Request.Header.Get("Sec-WebSocket-Key"))}) {
		return errAccept
	}
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor, resp.Close = "HTTP/1.1", 1, 1, false // some servers send HTTP/1.0
	dropHopByHop(resp.Header)
	resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{asked}
	return nil
}

// dropHopByHop removes the hop-by-hop headers of a 1xx response, which ReverseProxy does
// for other responses only (RFC 9110 section 7.6.1), and the headers that a 1xx response
// must not have.
func dropHopByHop(h http.Header) {
	for name := range listOf(h, "Connection") {
		h.Del(name)
	}
	for name := range h {
		switch {
		case strings.HasPrefix(name, "Proxy-"),
			slices.Contains([]string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Content-Length", "Upgrade"}, name):
			delete(h, name)
		}
	}
}

// protocolOf returns the protocol in an Upgrade header, or "" if there is not exactly
// one.
func protocolOf(h http.Header) (protocol string) {
	if !hasToken(h, "Connection", "upgrade") {
		return ""
	}
	for name := range listOf(h, "Upgrade") {
		if protocol != "" {
			return ""
		}
		protocol = name
	}
	return protocol
}

func hasToken(h http.Header, name, token string) bool {
	for t := range listOf(h, name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// listOf yields the elements of a header that is a comma-separated list. The list may
// span several header lines.
func listOf(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h.Values(name) {
			for element := range strings.SplitSeq(line, ",") {
				if element = strings.TrimSpace(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// acceptOf returns the Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
