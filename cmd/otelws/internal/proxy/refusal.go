package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// refusal is the answer to a request that goes no further.
type refusal struct {
	reason refused
	status int
	text   string // what was wrong, in a sentence
	header http.Header
}

func (rf *refusal) Error() string { return rf.text }

// answer closes the connection of a client that does not speak properly: what
// comes next on it may be no request.
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

// otherMethods are for what the proxy knows nothing of: a resource's methods are
// the backend's business.
var otherMethods = http.Header{"Allow": {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}

// refuse says why a request does not reach the backend, whatever it asks for. The
// backend is where base is before the request's own path.
func refuse(r *http.Request, base string) *refusal {
	switch {
	case r.Method == "PRI":
		// HTTP/2 without TLS, which net/http passes on as a request (RFC 9113 section 3.4).
		return &refusal{reason: refusedMethod, status: http.StatusHTTPVersionNotSupported, text: "this port speaks HTTP/1.1"}
	case r.Method == http.MethodConnect:
		return &refusal{reason: refusedMethod, status: http.StatusMethodNotAllowed, text: "this is no forward proxy", header: otherMethods}
	case r.RequestURI == "*":
		return &refusal{reason: refusedMethod, status: http.StatusBadRequest, text: "the target * is for OPTIONS"}
	case r.Host == "" && r.ProtoAtLeast(1, 1):
		// Without a host the backend's own address would be it (RFC 9110 section 4.2.1).
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "there is no host"}
	case r.URL.Scheme != "" && (r.URL.Host == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, r.URL.Scheme)):
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "the target is of another scheme, or has no host"}
	case base != "" && base != "/" && climbs(r.URL.Path):
		return &refusal{reason: refusedTarget, status: http.StatusBadRequest, text: "the target has a segment .. or ."}
	}
	return nil
}

// climbs says whether a server could take a path, which is decoded, for one that
// leaves the folder before it. Some take a backslash for a slash, and some cut a
// segment at a semicolon.
func climbs(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return true
		}
	}
	return false
}

// endsConnection says whether to close a client's connection after the response.
// How far a message reaches is open to two readings where it has a
// Transfer-Encoding and a Content-Length, or a Transfer-Encoding in HTTP/1.0, and
// net/http takes away the header by which one could tell (RFC 9112 section 6.1).
func endsConnection(r *http.Request) bool {
	return r.ProtoMajor == 1 && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0)
}
