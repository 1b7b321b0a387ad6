package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/coder/websocket"
)

// Error is a kind of error, and how often it happened.
type Error struct {
	Kind    string `json:"kind"`
	Count   int64  `json:"count"`
	Example string `json:"example,omitempty"` // the first one's text
}

// errorCounts counts by kinds. There are few kinds, since none holds a peer's text.
type errorCounts struct {
	mu     sync.Mutex
	byKind map[string]*Error
}

func (t *errorCounts) add(kind string, err error, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKind == nil {
		t.byKind = map[string]*Error{}
	}
	e := t.byKind[kind]
	if e == nil {
		e = &Error{Kind: kind}
		if err != nil {
			e.Example = oneLine(err)
		}
		t.byKind[kind] = e
	}
	e.Count += n
}

func (t *errorCounts) sorted() []Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Error, 0, len(t.byKind))
	for _, e := range t.byKind {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b Error) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Kind, b.Kind))
	})
	return all
}

func (t *errorCounts) count() (n int64) {
	for _, e := range t.sorted() {
		n += e.Count
	}
	return n
}

func oneLine(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, err.Error())
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "..."
	}
	return text
}

// handshakeKind is the kind of a failed handshake. The response may be nil.
func handshakeKind(resp *http.Response, err error) string {
	if resp == nil {
		return "dial: " + networkKind(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols && http.StatusText(resp.StatusCode) != "" {
		return fmt.Sprintf("handshake: answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return "handshake: no valid answer"
}

// connectionKind is the kind of an error on an open connection.
func connectionKind(err error) string {
	if code := websocket.CloseStatus(err); code != -1 {
		return "closed by the server with " + foldCode(code)
	}
	return "connection: " + networkKind(err)
}

func networkKind(err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var verification *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset by the server"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "out of file descriptors here (ulimit -n)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "out of ports here"
	case errors.As(err, &dns):
		return "host not found"
	case errors.As(err, &record), errors.As(err, &authority), errors.As(err, &verification):
		return "TLS"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "ended without a close frame"
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return "cut off at the end"
	case errors.Is(err, websocket.ErrMessageTooBig):
		return "message too big"
	}
	return "other"
}

// foldCode keeps the close codes few, as the server's metrics do.
func foldCode(code websocket.StatusCode) string {
	switch {
	case code >= 1000 && code <= 1014:
		return fmt.Sprint(int(code))
	case code >= 3000 && code < 4000:
		return "3xxx"
	case code >= 4000 && code < 5000:
		return "4xxx"
	}
	return "other"
}
