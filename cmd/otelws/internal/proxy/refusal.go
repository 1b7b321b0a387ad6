package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// refusal is the answer to a request that the proxy does not forward.
type refusal struct {
	reason refused
	status int
	text   string // what is wrong with the request
	header http.Header
}

func (rf *refusal) Error() string { return rf.text }

// answer writes the refusal. With close it also closes the connection, because the
// next bytes of such a client may not be a request. HTTP/2 does not need that: a request
// ends with its stream.
func (rf *refusal) answer(w http.ResponseWriter, close bool) {
	h := w.Header()
	for name, values := range rf.header {
		h[name] = values
	}
	if close {
		h.Set("Connection", "close")
	}
	http.Error(w, statusText(rf.status)+": "+rf.text, rf.status)
}

func statusText(status int) string { return fmt.Sprintf("%d %s", status, http.StatusText(status)) }

// otherMethods is the Allow header of a refused CONNECT. The proxy allows every other
// method, since the backend decides on methods.
var otherMethods = http.Header{"Allow": {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}

// refuse returns a refusal if a request must not reach the backend, whatever protocol
// it asks for. base is the path of the backend's URL.
func refuse(r *http.Request, base string) *refusal {
	switch {
	case r.Method == "PRI":
		// The preface of HTTP/2 without TLS. net/http passes it on as a request (RFC
		// 9113 section 3.4).
		return &refusal{reason: refusedMethod, status: http.StatusHTTPVersionNotSupported, text: "this port supports HTTP/1.1 only"}
	case r.Method == http.MethodConnect:
		return &refusal{reason: refusedMethod, status: http.StatusMethodNotAllowed, text: "this server is not a forward proxy", header: otherMethods}
	// The next cases come from HTTP/2 only: net/http refuses them in HTTP/1.1.
	case !httpguts.ValidHeaderFieldName(r.Method): // both are tokens
		return &refusal{reason: refusedMethod, status: http.StatusBadRequest, text: "the method is malformed"}
	case !httpguts.ValidHostHeader(r.Host):
		// net/http would send an empty Host.
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "the host is malformed"}
	case strings.Contains(r.URL.RawQuery, " "):
		// In HTTP/1.1, what follows could be taken for the version.
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "the query must not contain a space"}
	case r.RequestURI == "*":
		return &refusal{reason: refusedMethod, status: http.StatusBadRequest, text: "the target * is allowed for OPTIONS only"}
	case r.Host == "" && r.ProtoAtLeast(1, 1):
		// net/http would send the backend's own address as the host (RFC 9110 section
		// 4.2.1).
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "the Host header is missing"}
	case r.URL.Scheme != "" && (r.URL.Host == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, r.URL.Scheme)):
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "the target needs a host and the scheme http, https, ws or wss"}
	case base != "" && base != "/" && climbs(r.URL.Path):
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "the path must not contain a segment . or .."}
	}
	return nil
}

// climbs reports whether a server could resolve a decoded path to one above its base.
// Some servers treat a backslash as a slash, and some end a segment at a semicolon.
func climbs(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return true
		}
	}
	return false
}

// endsConnection reports whether to close the client's connection after the response.
// It closes if the length of the request can be ambiguous: after every HTTP/1.0
// request, and after every request with Transfer-Encoding, because net/http removes a
// Content-Length beside it (RFC 9112 section 6.1).
func endsConnection(r *http.Request) bool {
	return r.ProtoMajor == 1 && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0)
}
