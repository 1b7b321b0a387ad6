package frameworks

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
)

// strictServer is a server without a library, for one connection. It echoes three
// messages, and counts bytes.
type strictServer struct {
	url string
	saw chan sawClient
}

// sawClient is what the server received. Bytes count from the end of the handshake.
type sawClient struct {
	sent, received int
	messages       int
	held           time.Duration // for how long the server kept the ping
	err            error
}

// pongDelay is the time after which the server answers a ping.
const pongDelay = 20 * time.Millisecond

// listenStrictly starts a strictServer. After three messages it does what end says:
// "the server closes" with 4002, or "the server vanishes" without a close frame.
func listenStrictly(t *testing.T, withTLS bool, end string) *strictServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &strictServer{url: "ws://" + l.Addr().String() + "/", saw: make(chan sawClient, 1)}
	if withTLS {
		certified := httptest.NewTLSServer(nil)
		certified.Close()
		l = tls.NewListener(l, &tls.Config{Certificates: certified.TLS.Certificates})
		s.url = "wss://" + l.Addr().String() + "/"
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			s.saw <- sawClient{err: err}
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(waitLimit))
		var saw sawClient
		saw.err = saw.serve(c, end)
		s.saw <- saw
	}()
	return s
}

func (saw *sawClient) serve(c net.Conn, end string) error {
	br := bufio.NewReader(c)
	r, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		acceptKey(r.Header.Get("Sec-WebSocket-Key"))); err != nil {
		return err
	}
	send := func(op gobwas.OpCode, payload []byte) error {
		b := gobwas.MustCompileFrame(gobwas.NewFrame(op, true, payload))
		saw.sent += len(b)
		_, err := c.Write(b)
		return err
	}
	var message []byte
	for {
		f, err := readFrame(br)
		if err != nil {
			return err
		}
		saw.received += gobwas.HeaderSize(f.Header) + len(f.Payload)
		f = gobwas.UnmaskFrameInPlace(f)
		switch f.Header.OpCode {
		case gobwas.OpPing:
			got := time.Now()
			time.Sleep(pongDelay)
			saw.held = time.Since(got)
			err = send(gobwas.OpPong, f.Payload)
		case gobwas.OpClose:
			if err := send(gobwas.OpClose, f.Payload); err != nil {
				return err
			}
			n, _ := io.Copy(io.Discard, br)
			saw.received += int(n)
			return nil
		default:
			if message = append(message, f.Payload...); !f.Header.Fin {
				continue
			}
			saw.messages++
			err = send(gobwas.OpBinary, message)
			message = message[:0]
		}
		if err != nil {
			return err
		}
		if saw.messages == 3 && end == "the server vanishes" {
			return nil
		}
		if saw.messages == 3 && end == "the server closes" {
			err := send(gobwas.OpClose, gobwas.NewCloseFrameBody(4002, ""))
			_, _ = io.Copy(io.Discard, br)
			return err
		}
	}
}

// acceptKey returns the Sec-WebSocket-Accept for a client's key (RFC 6455 section
// 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// readFrame reads a frame from a trusted peer of the test.
func readFrame(r io.Reader) (f gobwas.Frame, err error) {
	if f.Header, err = gobwas.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
