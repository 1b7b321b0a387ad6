package upgrade

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"strings"
)

// MaxHead is the maximum length, in bytes, of a head that is read.
const MaxHead = 64 << 10

// ResponseHead reads the head of a response, which may arrive in pieces. The zero value is ready
// for use.
type ResponseHead struct {
	kept    []byte
	interim int // size of the interim responses in kept
	end     headEnd
}

// Read reads p, the next piece. It returns nil as long as the head of the final response is not
// complete, and otherwise that response without its body, and the index in p after the head. ok is
// false if this is no response of HTTP/1, or if the head is longer than [MaxHead].
func (h *ResponseHead) Read(p []byte) (r *http.Response, end int, ok bool) {
	before := len(h.kept)
	h.kept = append(h.kept, p[:min(len(p), MaxHead-before)]...)
	for {
		size := h.end.find(h.kept[h.interim:])
		if size == 0 {
			return nil, 0, len(h.kept) < MaxHead
		}
		begin := h.interim
		h.interim += size
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(h.kept[begin:h.interim])), nil)
		if err != nil {
			return nil, 0, false
		}
		if !IsInterim(r.StatusCode) {
			return r, h.interim - before, true
		}
		h.end = headEnd{}
	}
}

// Status returns the status of a response that begins with b, or 0 if b does not contain it.
func Status(b []byte) (code int) {
	const version = "HTTP/1.x "
	if len(b) < len(version)+3 || string(b[:7]) != version[:7] {
		return 0
	}
	for _, digit := range b[len(version) : len(version)+3] {
		code = 10*code + int(digit-'0')
	}
	return code
}

// IsInterim reports whether another response follows a response with this status (RFC 9110 section
// 15.2).
func IsInterim(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
}

// The names of the header fields of RFC 6455 section 11.3, in the form of [http.CanonicalHeaderKey].
// [http.Header.Get] allocates for any other form.
const (
	KeyField        = "Sec-Websocket-Key"
	acceptField     = "Sec-Websocket-Accept"
	ProtocolField   = "Sec-Websocket-Protocol"
	extensionsField = "Sec-Websocket-Extensions"
)

// Switches reports whether a response switches to WebSocket.
func Switches(status int, header http.Header) bool {
	return status == http.StatusSwitchingProtocols && hasToken(header, "Upgrade", "websocket")
}

// AcceptsKey reports whether a response proves that the server understood the request (RFC 6455
// section 4.2.2). Otherwise a client ends the connection.
func AcceptsKey(request, response http.Header) bool {
	sum := sha1.Sum([]byte(request.Get(KeyField) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return response.Get(acceptField) == base64.StdEncoding.EncodeToString(sum[:])
}

// IsAskedFor reports whether a request with this header asks for a WebSocket (RFC 6455 section 4.1).
// It does not check the details.
func IsAskedFor(request http.Header) bool {
	return hasToken(request, "Upgrade", "websocket") && hasToken(request, "Connection", "upgrade")
}

// Canonical returns h with its names in the form of [http.CanonicalHeaderKey]. Programs that want the
// names on the wire as RFC 6455 writes them, such as Sec-WebSocket-Accept, assign to the map.
func Canonical(h http.Header) http.Header {
	isCanonical := true
	for name := range h {
		isCanonical = isCanonical && name == http.CanonicalHeaderKey(name)
	}
	if isCanonical {
		return h
	}
	canonical := make(http.Header, len(h))
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		canonical[name] = append(canonical[name], values...)
	}
	return canonical
}

// hasToken reports whether a header that is a comma-separated list contains token, in any case.
func hasToken(h http.Header, name, token string) bool {
	for t := range tokens(h, name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// tokens yields the elements of a header that is a comma-separated list.
func tokens(h http.Header, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range h.Values(name) {
			for t := range strings.SplitSeq(line, ",") {
				if t = strings.TrimSpace(t); t != "" && !yield(t) {
					return
				}
			}
		}
	}
}
