package proxy

import (
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
	if d.proxy.cert != nil {
		_ = c.Close()
		<-d.lingering
		return
	}
	go func() {
		defer func() { <-d.lingering }()
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(turnAwayTime))
		if _, err := io.WriteString(c, rf.raw()); err != nil || closeWrite(c) != nil {
			return
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(c, 2*int64(d.proxy.settings.Load().limits.HeaderBytes)))
	}()
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
