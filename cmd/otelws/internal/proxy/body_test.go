package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

const upload = "POST / HTTP/1.1\r\nHost: test\r\n"

// A backend may answer before it has the whole body. The client hears it at once, and
// its connection ends.
func TestEarlyResponse(t *testing.T) {
	for name, send := range map[string]string{
		"length":  upload + "Content-Length: 10\r\n\r\nhello",
		"chunks":  upload + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"expects": upload + "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
	} {
		for status, response := range map[int]string{
			413: "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
			403: "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
		} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				address, held := rawBackend(t, answer(response))
				g := startProxy(t, proxy.Config{Backend: "http://" + address})
				g.SetLinger(50 * time.Millisecond)
				w := dialWire(t, g.address)
				w.send(t, []byte(send))
				resp := w.response(t)
				for resp.StatusCode == http.StatusContinue {
					resp = w.response(t)
				}
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != status || !resp.Close || err != nil || int64(len(body)) != resp.ContentLength {
					t.Errorf("%s, closes %v, body %q, %v", resp.Status, resp.Close, body, err)
				}
				if rest, err := io.ReadAll(w.br); len(rest) > 0 || isTimeout(err) {
					t.Errorf("the connection goes on with %q, %v", rest, err)
				}
				w.Close()
				g.stop()
				eventually(t, "the backend's connection to end", func() bool { return held.held() == 0 })
			})
		}
	}
}

// A backend may answer and close the connection while the body comes, which resets the connection. The
// client hears the answer.
func TestEarlyResponseAndReset(t *testing.T) {
	address, _ := rawBackend(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
	})
	g := startProxy(t, proxy.Config{Backend: "http://" + address, DrainTimeout: waitLimit}) // net/http closes late
	body := strings.Repeat("x", 8<<20)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			c, err := net.Dial("tcp", g.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(waitLimit))
			go io.WriteString(c, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", upload, len(body), body))
			got, err := io.ReadAll(c)
			if !strings.HasPrefix(string(got), "HTTP/1.1 413 ") || !strings.HasSuffix(string(got), "big") || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all.Wait()
}

// A backend may begin its response before the body ends, and lose none of it.
func TestUploadBehindResponse(t *testing.T) {
	address, _ := rawBackend(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
		_, _ = io.Copy(c, r.Body)
	})
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	w := dialWire(t, g.address)
	w.send(t, []byte(upload+"Content-Length: 100\r\n\r\n"))
	echo := make([]byte, 10)
	for i := range 10 {
		part := strings.Repeat(fmt.Sprint(i), 10)
		w.send(t, []byte(part))
		if i == 0 {
			w.response(t)
		}
		if _, err := io.ReadFull(w.br, echo); err != nil || string(echo) != part {
			t.Fatalf("part %d comes back as %q, %v", i, echo, err)
		}
	}
}

// A backend that fails while the body comes is answered for at once.
func TestBackendLeavesUpload(t *testing.T) {
	for name, send := range map[string]string{
		"length":  upload + "Content-Length: 10\r\n\r\nhello",
		"chunks":  upload + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"nothing": upload + "Content-Length: 10\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			address, held := rawBackend(t, func(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) })
			g := startProxy(t, proxy.Config{Backend: "http://" + address})
			g.SetLinger(50 * time.Millisecond)
			w := dialWire(t, g.address)
			w.send(t, []byte(send))
			if resp := w.response(t); resp.StatusCode != http.StatusBadGateway || !resp.Close {
				t.Errorf("%s, closes %v", resp.Status, resp.Close)
			}
			if rest, err := io.ReadAll(w.br); isTimeout(err) {
				t.Errorf("the connection goes on with %q", rest)
			}
			g.wantLog(t, "reason=closed")
			eventually(t, "the backend's connection to end", func() bool { return held.held() == 0 })
		})
	}
}

// A refused client cannot keep its connection by a body that never ends.
func TestRefusedBody(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL})
	g.SetLinger(50 * time.Millisecond)
	for _, send := range []string{
		handshake("/", "Content-Length: 10") + "hello",
		handshake("/", "Transfer-Encoding: chunked") + "5\r\nhello\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
	} {
		w := dialWire(t, g.address)
		w.send(t, []byte(send))
		if got, err := io.ReadAll(w.br); len(got) == 0 || isTimeout(err) {
			t.Errorf("%q: the connection stays open after %.40q, %v", send[:20], got, err)
		}
	}
}
