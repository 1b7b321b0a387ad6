package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// turnAwayTime limits the time that a refused client has to send its request, and
	// again to read the answer.
	turnAwayTime = time.Second
	// defaultTLSRefusals is the number of TLS clients per second that get an answer
	// when they are refused. A TLS handshake takes about a millisecond of CPU time,
	// and a refusal must be cheap.
	defaultTLSRefusals = 100
)

// turnAway sends the refusal and closes the connection. If too many refusals are in
// progress, or the rate of TLS refusals is exceeded, it closes without an answer.
func (l *clientListener) turnAway(c net.Conn, rf *refusal) {
	select {
	case l.lingering <- struct{}{}:
	default:
		_ = c.Close()
		return
	}
	if l.proxy.cert != nil && !l.tlsRefusals.allow(client{}, time.Now(), l.proxy.tlsRefusals) {
		_ = c.Close()
		<-l.lingering
		return
	}
	go func() {
		defer func() { <-l.lingering }()
		defer c.Close()
		limits := l.proxy.settings.Load().limits
		if l.proxy.cert != nil {
			secure := tls.Server(c, l.proxy.cert.config()) // offers HTTP/1.1 only
			ctx, cancel := context.WithTimeout(context.Background(), limits.HandshakeTime)
			defer cancel()
			if secure.HandshakeContext(ctx) != nil {
				return
			}
			c = secure
		}
		tell(c, rf, limits.HeaderBytes)
	}()
}

// tell sends the refusal. It reads the first bytes of the request before: some
// clients treat an answer that arrives before their request as a fault. It reads the
// rest after, because closing a connection with unread bytes resets it, and the
// client might not read the answer.
func tell(c net.Conn, rf *refusal, headerBytes int) {
	now := time.Now()
	_ = c.SetReadDeadline(now.Add(turnAwayTime))
	_ = c.SetWriteDeadline(now.Add(2 * turnAwayTime))
	_, _ = c.Read(make([]byte, 1<<10))
	if _, err := io.WriteString(c, rf.raw()); err != nil || closeWrite(c) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c, 2*int64(headerBytes)))
}

var lateAnswer = (&refusal{status: http.StatusRequestTimeout, text: "the request did not arrive in time"}).raw()

// raw returns the refusal as an HTTP/1.1 response.
func (rf *refusal) raw() string {
	body := statusText(rf.status) + ": " + rf.text + "\n"
	head := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: %d\r\n",
		statusText(rf.status), len(body))
	for name := range rf.header {
		head += name + ": " + rf.header.Get(name) + "\r\n"
	}
	return head + "\r\n" + body
}
