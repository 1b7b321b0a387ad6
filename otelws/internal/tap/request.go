package tap

import (
	"bufio"
	"bytes"
	"net/http"
)

// requestHead finds the end of a request's head, which may arrive in pieces. The zero value is
// ready for use.
type requestHead struct {
	kept    []byte // a head that arrives in pieces
	line    int    // index of the current line
	upgrade bool   // the head has a header Upgrade
}

// find returns the index in b after the head, or 0 if the head is not complete. b is the complete
// head so far.
func (h *requestHead) find(b []byte) (end int) {
	for {
		n := bytes.IndexByte(b[h.line:], '\n')
		if n < 0 {
			return 0
		}
		line := b[h.line : h.line+n]
		h.line += n + 1
		switch {
		case len(line) == 0, len(line) == 1 && line[0] == '\r':
			return h.line
		case line[0]|0x20 == 'u' && isUpgrade(line):
			h.upgrade = true
		}
	}
}

var upgrade = []byte("upgrade:")

func isUpgrade(line []byte) bool {
	return len(line) >= len(upgrade) && bytes.EqualFold(line[:len(upgrade)], upgrade)
}

// parseRequest returns the request of head, or nil if head is invalid.
func parseRequest(head []byte) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil
	}
	r.Body = http.NoBody
	return r
}

// Protocol is a protocol that a Wire cannot read.
type Protocol uint8

// The protocols that are recognised.
const (
	TLS Protocol = iota
	ProxyProtocol
	HTTP2
	Protocols // their number
)

var prefaces = [Protocols][][]byte{
	TLS: {{22, 3}}, // a handshake record
	ProxyProtocol: {
		[]byte("PROXY "),
		[]byte("\r\n\r\n\x00\r\nQUIT\n"),
	},
	HTTP2: {[]byte("PRI * HTTP/2.0")},
}

// protocolOf returns the protocol that begins with b, if it is one of Protocol.
func protocolOf(b []byte) (p Protocol, ok bool) {
	for p, all := range prefaces {
		for _, preface := range all {
			if bytes.HasPrefix(b, preface) {
				return Protocol(p), true
			}
		}
	}
	return 0, false
}

// method is the beginning of a head that the tap looks at.
var (
	get     = []byte("GET ")
	connect = []byte("CONNECT ")
)

// begins reports whether b may be the beginning of data that begins with prefix.
func begins(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}

// status returns the status of a response that begins with b, or 0 if b does not contain it.
func status(b []byte) (code int) {
	const version = "HTTP/1.x "
	if len(b) < len(version)+3 || string(b[:7]) != version[:7] {
		return 0
	}
	for _, digit := range b[len(version) : len(version)+3] {
		code = 10*code + int(digit-'0')
	}
	return code
}
