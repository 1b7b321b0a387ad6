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
	var w write
	if complete {
		c.sending(&w, rest, now())
	}
	n, err := c.rwc.Write(p)
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
	before := len(out.head)
	out.head = append(out.head, p[:min(len(p), maxHead-before)]...)

	for begin := 0; ; {
		end := bytes.Index(out.head[begin:], []byte("\r\n\r\n"))
		if end < 0 {
			if len(out.head) == maxHead {
				c.abandon(0)
			}
			return nil, false
		}
		end += begin + len("\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out.head[begin:end])), c.handshake.request)
		switch {
		case err != nil:
			c.abandon(0)
		case isInterim(resp.StatusCode):
			begin = end
			continue
		case !switchedToWebSocket(resp.StatusCode, resp.Header):
			c.abandon(resp.StatusCode)
		default:
			c.handshake.answered(resp.Header)
			c.prepare()
			rest, complete = p[end-before:], true
		}
		out.head = nil
		return rest, complete
	}
}

// isInterim says whether another response follows (RFC 9110 section 15.2).
func isInterim(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
}
