package proxy

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
)

var (
	errUpgrade = errors.New("the backend switched to a protocol that was not asked for")
	errAccept  = errors.New("the backend's Sec-WebSocket-Accept does not answer the request's key")
)

// upgraded returns the connection of a 101 response that is right.
func upgraded(resp *http.Response) (io.ReadWriteCloser, error) {
	asked, given := upgradeOf(resp.Request.Header), upgradeOf(resp.Header)
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || asked == "" || !strings.EqualFold(asked, given) {
		return nil, errUpgrade
	}
	key := resp.Request.Header.Get("Sec-WebSocket-Key")
	if strings.EqualFold(asked, "websocket") && key != "" && resp.Header.Get("Sec-WebSocket-Accept") != acceptOf(key) {
		return nil, errAccept
	}
	return body, nil
}

// upgradeOf returns the protocol that a head asks for or switches to.
func upgradeOf(h http.Header) string {
	for _, line := range h.Values("Connection") {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return h.Get("Upgrade")
			}
		}
	}
	return ""
}

// acceptOf is the answer to a key (RFC 6455 section 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
