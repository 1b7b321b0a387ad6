// Package upgrade reads the opening handshake of a WebSocket (RFC 6455 section 4): heads of requests
// and responses as bytes, and their headers.
package upgrade

import (
	"bufio"
	"bytes"
	"net/http"
)

// RequestHead finds the end of a request's head, which may arrive in pieces. The zero value is
// ready for use.
type RequestHead struct {
	Kept    []byte // the head so far, if it arrives in pieces; the caller keeps it
	Upgrade bool   // the head has a header Upgrade
	end     headEnd
}

// Find returns the index in b after the head, or 0 if the head is not complete. b is the complete
// head so far.
func (h *RequestHead) Find(b []byte) (end int) {
	for {
		line, end := h.end.next(b)
		if line == nil || end > 0 {
			return end
		}
		if line[0]|0x20 == 'u' && isUpgrade(line) {
			h.Upgrade = true
		}
	}
}

// headEnd finds the end of a head, which may arrive in pieces. A line may end with LF alone (RFC 9112
// section 2.2).
type headEnd struct{ line int } // index of the current line

// next returns the next line of b, without its LF, or nil if it is not complete. end is the index after
// the line if that ends the head, and otherwise 0.
func (h *headEnd) next(b []byte) (line []byte, end int) {
	n := bytes.IndexByte(b[h.line:], '\n')
	if n < 0 {
		return nil, 0
	}
	line = b[h.line : h.line+n]
	h.line += n + 1
	if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
		end = h.line
	}
	return line, end
}

// find returns the index in b after the head, or 0 if the head is not complete.
func (h *headEnd) find(b []byte) (end int) {
	for {
		if line, end := h.next(b); line == nil || end > 0 {
			return end
		}
	}
}

var upgradeHeader = []byte("upgrade:")

func isUpgrade(line []byte) bool {
	return len(line) >= len(upgradeHeader) && bytes.EqualFold(line[:len(upgradeHeader)], upgradeHeader)
}

// ParseRequest returns the request of head, or nil if head is invalid.
func ParseRequest(head []byte) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil
	}
	r.Body = http.NoBody
	return r
}
