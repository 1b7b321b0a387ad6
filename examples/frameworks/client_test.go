package frameworks

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

const waitLimit = 20 * time.Second

// client is a client without a library. It counts the bytes that it sends and
// receives.
type client struct {
	net.Conn
	br             *bufio.Reader
	status         int // of the response, or one of the values below
	sent, received int // bytes, after the response
}

// The values of status without a response.
const (
	closed = 0  // the server closed the connection, because its handler panicked
	frame  = -1 // a frame arrived: a middleware has swallowed the response
)

// dial opens a connection and requests a WebSocket with the given version.
func dial(t *testing.T, address string, version int) *client {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return ask(t, nc, version)
}

// ask requests a WebSocket with the given version on an open connection.
func ask(t *testing.T, nc net.Conn, version int) *client {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(waitLimit))
	c := &client{Conn: nc, br: bufio.NewReader(nc)}
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Accept-Encoding: gzip, zstd\r\nSec-WebSocket-Version: %d\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", version)
	switch b, err := c.br.Peek(1); {
	case err != nil && !ended(err):
		t.Fatalf("failed to read a response: %v", err)
	case err != nil:
		c.status = closed
		return c
	case b[0] != 'H':
		c.status = frame
		return c
	}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatalf("failed to read the response: %v", err)
	}
	c.status = resp.StatusCode
	return c
}

// ended reports whether err can result from the end of a connection by the server.
func ended(err error) bool {
	var ne net.Error
	return !errors.As(err, &ne) || !ne.Timeout()
}

func (c *client) send(t *testing.T, op ws.OpCode, payload []byte) {
	t.Helper()
	b := ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, true, bytes.Clone(payload))))
	c.sent += len(b)
	if _, err := c.Write(b); err != nil {
		t.Fatalf("failed to send: %v", err)
	}
}

// receive reads a frame. It returns an error if the server has ended the connection.
func (c *client) receive(t *testing.T) (ws.OpCode, []byte, error) {
	t.Helper()
	h, err := ws.ReadHeader(c.br)
	var payload []byte
	if err == nil {
		payload = make([]byte, min(h.Length, maxMessage))
		_, err = io.ReadFull(c.br, payload)
	}
	if err != nil {
		if !ended(err) {
			t.Fatalf("failed to receive: %v", err)
		}
		return 0, nil, err
	}
	c.received += ws.HeaderSize(h) + len(payload)
	return h.OpCode, payload, nil
}

// expect reads a message or a control frame. Some libraries send a large message in
// several frames.
func (c *client) expect(t *testing.T, op ws.OpCode, payload []byte) {
	t.Helper()
	got, b, err := c.receive(t)
	for err == nil && !op.IsControl() && len(b) < len(payload) {
		var more []byte
		if _, more, err = c.receive(t); err == nil {
			b = append(b, more...)
		}
	}
	if err != nil || !bytes.Equal(b, payload) || got.IsControl() != op.IsControl() {
		t.Fatalf("got %v %.20q (%d bytes), error %v; want %v %.20q (%d bytes)", got, b, len(b), err, op, payload, len(payload))
	}
}

// drain reads until the server ends the connection.
func (c *client) drain(t *testing.T) {
	t.Helper()
	for {
		if _, _, err := c.receive(t); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Logf("the server ends by %v", err)
			}
			return
		}
	}
}

var messages = []struct {
	op      ws.OpCode
	payload []byte
}{
	{ws.OpText, []byte("hello")},
	{ws.OpBinary, bytes.Repeat([]byte("otelws"), 12_000)},
}

// talk sends and receives messages, and closes. It returns the payload bytes that it
// sent.
func talk(t *testing.T, c *client) (payload int) {
	t.Helper()
	c.expect(t, ws.OpText, []byte(greeting))
	for _, m := range messages {
		c.send(t, m.op, m.payload)
		c.expect(t, m.op, m.payload)
		payload += len(m.payload)
	}
	c.send(t, ws.OpPing, []byte("there?"))
	c.expect(t, ws.OpPong, []byte("there?"))
	c.send(t, ws.OpClose, ws.NewCloseFrameBody(ws.StatusGoingAway, ""))
	c.drain(t)
	_ = c.Close()
	return payload
}
