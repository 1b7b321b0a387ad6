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
	errUpgrade = errors.New("the backend switched to a protocol that was not asked for")
	errAccept  = errors.New("the backend's Sec-WebSocket-Accept does not answer the request's key")
)

// protocols are those that a client may switch to beside WebSocket. They are
// tunnelled blindly.
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

// choose returns the protocol that a request is to ask the backend for, of those
// that it asks for, and nothing for an ordinary request. A server may pass over an
// Upgrade (RFC 9110 section 7.8), and passes over what it does not know.
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

// ask leaves protocol as the one that the request asks for.
func ask(h http.Header, protocol string) {
	h.Del("Http2-Settings")
	if protocol == "" {
		h.Del("Upgrade")
		return
	}
	h["Upgrade"] = []string{protocol}
}

// webSocketOffer goes with a refusal that another handshake would not get (RFC
// 6455 section 4.4).
var webSocketOffer = http.Header{"Upgrade": {webSocket}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}}

// refuseSwitch says what is wrong with a request for another protocol. The backend
// might understand it otherwise than what watches the connection does.
func refuseSwitch(r *http.Request, protocol string) *refusal {
	no := func(status int, text string, header http.Header) *refusal {
		return &refusal{reason: refusedHandshake, status: status, text: text, header: header}
	}
	h := r.Header
	switch {
	case r.ContentLength != 0:
		return &refusal{reason: refusedBody, status: http.StatusBadRequest, text: "a request to switch protocols has no body"}
	case !r.ProtoAtLeast(1, 1):
		return no(http.StatusUpgradeRequired, "switching protocols takes HTTP/1.1", webSocketOffer)
	case protocol != webSocket:
		return nil
	case r.Method != http.MethodGet:
		return no(http.StatusMethodNotAllowed, "a WebSocket handshake is a GET", http.Header{"Allow": {"GET"}})
	case len(h["Sec-Websocket-Version"]) != 1 || h["Sec-Websocket-Version"][0] != "13":
		return no(http.StatusUpgradeRequired, "a WebSocket handshake has the Sec-WebSocket-Version 13", webSocketOffer)
	case len(h["Sec-Websocket-Key"]) != 1 || !isKey(h["Sec-Websocket-Key"][0]):
		return no(http.StatusBadRequest, "a WebSocket handshake has one Sec-WebSocket-Key, of 16 bytes in base64", nil)
	}
	for token := range listOf(h, "Connection") {
		if strings.HasPrefix(strings.ToLower(token), "sec-websocket-") {
			return no(http.StatusBadRequest, "Connection must not name what the handshake needs", nil)
		}
	}
	return nil
}

func isKey(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 16
}

// upgraded returns the connection of a 101 response that is right, and takes out
// of the response what concerns the connection that it came on.
func upgraded(resp *http.Response) (io.ReadWriteCloser, error) {
	asked := protocolOf(resp.Request.Header)
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || asked == "" || !strings.EqualFold(asked, protocolOf(resp.Header)) {
		return nil, errUpgrade
	}
	if asked == webSocket && !slices.Equal(resp.Header["Sec-Websocket-Accept"], []string{acceptOf(resp.Request.Header.Get("Sec-WebSocket-Key"))}) {
		return nil, errAccept
	}
	dropHopByHop(resp.Header)
	resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{asked}
	return body, nil
}

// dropHopByHop takes out of the head of a 101 what is for this hop alone, which
// ReverseProxy does for other responses (RFC 9110 section 7.6.1), and what a 101
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

// protocolOf returns the protocol that a head asks for or switches to, where it is
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

// listOf yields the elements of a header that is a comma-separated list, which may
// have several lines.
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

// acceptOf is the answer to a key (RFC 6455 section 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
