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
	if complete {
		c.sending(rest)
	}
	n, err := c.rwc.Write(p)
	if head := len(p) - len(rest); complete && n >= head {
		c.open()
		if c.state.Load() != foreign {
			c.sent(rest[:n-head])
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
	end := bytes.Index(out.head, []byte("\r\n\r\n"))
	if end < 0 {
		if len(out.head) == maxHead {
			c.abandon(0)
		}
		return nil, false
	}
	end += len("\r\n\r\n")

	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out.head[:end])), c.handshake.request)
	out.head = nil
	if err != nil {
		c.abandon(0)
		return nil, false
	}
	if !switchedToWebSocket(resp.StatusCode, resp.Header) {
		c.abandon(resp.StatusCode)
		return nil, false
	}
	c.handshake.answered(resp.Header)
	c.prepare()
	return p[end-before:], true
}
