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
	// turnAwayTime is how long a client that is refused may take to send its request,
	// and to read why.
	turnAwayTime = time.Second
	// defaultCourtesyRate is how many clients a second are refused over TLS in words: a
	// handshake takes a millisecond, and a refusal must cost little.
	defaultCourtesyRate = 100
)

// turnAway tells a client why, and closes. Where too many are being told, or over TLS
// were within a second, it closes without a word.
func (d *door) turnAway(c net.Conn, rf *refusal) {
	select {
	case d.lingering <- struct{}{}:
	default:
		_ = c.Close()
		return
	}
	if d.proxy.cert != nil && !d.courtesy.allow(client{}, time.Now(), d.proxy.courtesyRate) {
		_ = c.Close()
		<-d.lingering
		return
	}
	go func() {
		defer func() { <-d.lingering }()
		defer c.Close()
		limits := d.proxy.settings.Load().limits
		if d.proxy.cert != nil {
			secure := tls.Server(c, d.proxy.cert.config()) // HTTP/1.1, since it offers no other
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

// tell answers a request, of which it reads the first bytes: a client may take an
// answer to nothing for a fault. A connection that is closed with something unread is
// reset, and the client might not read the answer.
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

var lateAnswer = (&refusal{status: http.StatusRequestTimeout, text: "the request was not there in time"}).raw()

// raw is the answer where there is no request yet.
func (rf *refusal) raw() string {
	body := statusText(rf.status) + ": " + rf.text + "\n"
	head := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: %d\r\n",
		statusText(rf.status), len(body))
	for name := range rf.header {
		head += name + ": " + rf.header.Get(name) + "\r\n"
	}
	return head + "\r\n" + body
}
