package otelws

import (
	"bufio"
	"bytes"
	"net/http"
)

// writeHead is Write while the response to the handshake has not gone out:
// gorilla/websocket, gobwas/ws and httputil.ReverseProxy hijack first and write
// the response themselves.
func (c *conn) writeHead(p []byte) (int, error) {
	rest, complete := c.readHead(p)
	var w readAhead
	begun := now()
	if complete {
		c.sending(&w, rest)
		c.outbound.writing.add(begun)
	}
	n, err := c.rwc.Write(p)
	if complete {
		c.outbound.writing.remove(begun)
	}
	if head := len(p) - len(rest); complete && n >= head {
		c.open()
		if c.state.Load() != foreign {
			c.sent(rest, n-head, &w)
		}
	}
	if err != nil {
		c.failed(err)
	}
	return n, err
}

// readHead reads p as part of the response's head. It returns what of p comes
// after the head once a head that switches to WebSocket is complete. Any other
// is a handshake that failed, after which the connection is not watched.
func (c *conn) readHead(p []byte) (rest []byte, complete bool) {
	out := &c.outbound
	out.mu.Lock()
	defer out.mu.Unlock()
	h := c.handshake
	if h.head == nil {
		h.head = new(bytes.Buffer)
	}
	before := h.head.Len()
	h.head.Write(p[:min(len(p), maxHead-before)])

	for begin, head := 0, h.head.Bytes(); ; {
		end := bytes.Index(head[begin:], []byte("\r\n\r\n"))
		if end < 0 {
			if len(head) == maxHead {
				c.abandon(0)
				h.head = nil
			}
			return nil, false
		}
		end += begin + len("\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head[begin:end])), nil)
		switch {
		case err != nil:
			c.abandon(0)
		case isInterim(resp.StatusCode):
			begin = end
			continue
		case !switchedToWebSocket(resp.StatusCode, resp.Header):
			c.abandon(resp.StatusCode)
		default:
			h.answered(resp.Header)
			c.prepare()
			rest, complete = p[end-before:], true
		}
		h.head = nil
		return rest, complete
	}
}

// maxHead bounds what is kept of a response. A handler that goes beyond is no
// WebSocket's.
const maxHead = 64 << 10

// isInterim says whether another response follows (RFC 9110 section 15.2).
func isInterim(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
}
