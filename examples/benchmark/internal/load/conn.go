// Package load has the clients. They are the same for every server, and as cheap as possible,
// because they share the machine with the server. Messages are masked once and written as they are.
// Of received messages, only the header is read, and the payload is skipped.
package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	final       = 0x80
	masked      = 0x80
	opBinary    = 0x2
	opClose     = 0x8
	opPing      = 0x9
	opPong      = 0xa
	maxControl  = 125
	closeNormal = 1000
)

// errClosed is the error of Receive for a close frame.
var errClosed = errors.New("the server closed the connection")

var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// appendFrame appends a client frame.
func appendFrame(b []byte, opcode byte, payload []byte) []byte {
	b = append(b, final|opcode)
	switch n := len(payload); {
	case n <= maxControl:
		b = append(b, masked|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// Message returns the frame of a binary message of n bytes.
func Message(n int) []byte {
	payload := make([]byte, n)
	for i := range payload {
		payload[i] = ' ' + byte(i%95)
	}
	return appendFrame(nil, opBinary, payload)
}

// Conn is one client. One goroutine may send while another one receives.
type Conn struct {
	net.Conn
	br *bufio.Reader
}

// dialLimit is the time limit of everything that happens once for a connection: dial, handshake,
// close.
const dialLimit = 10 * time.Second

// Dial opens a connection for messages of about size bytes.
func Dial(ctx context.Context, address, path string, size int) (*Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &Conn{nc, bufio.NewReaderSize(nc, min(max(size+16, 512), 32<<10))}
	if err := c.handshake(address, path); err != nil {
		nc.Close()
		return nil, fmt.Errorf("failed to open a WebSocket: %w", err)
	}
	return c, nil
}

func (c *Conn) handshake(address, path string) error {
	if err := c.SetDeadline(time.Now().Add(dialLimit)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.Conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, address)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	return c.SetDeadline(time.Time{})
}

// Receive reads one message and returns its length. It answers pings.
func (c *Conn) Receive() (int, error) {
	for {
		opcode, n, err := c.header()
		if err != nil {
			return 0, err
		}
		switch opcode {
		case opBinary:
			_, err := c.br.Discard(n)
			return n, err
		case opPing:
			payload := make([]byte, n)
			if _, err := io.ReadFull(c.br, payload); err != nil {
				return 0, err
			}
			if _, err := c.Write(appendFrame(nil, opPong, payload)); err != nil {
				return 0, err
			}
		case opClose:
			_, _ = c.br.Discard(n)
			return 0, errClosed
		default:
			return 0, fmt.Errorf("the server sent a frame with opcode %d", opcode)
		}
	}
}

// header reads the header of an unfragmented, unmasked frame.
func (c *Conn) header() (opcode byte, n int, err error) {
	b, err := c.br.Peek(2)
	if err != nil {
		return 0, 0, err
	}
	first, length := b[0], b[1]
	if first&^0xf != final || length&masked != 0 {
		return 0, 0, fmt.Errorf("the server sent a frame that begins with %x", b)
	}
	size := 2
	switch n = int(length); length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if size > 2 {
		if b, err = c.br.Peek(size); err != nil {
			return 0, 0, err
		}
		n = 0
		for _, digit := range b[2:] {
			n = n<<8 | int(digit)
		}
	}
	_, err = c.br.Discard(size)
	return first & 0xf, n, err
}

// SayClose starts the close handshake. Then the connection must be read until it fails, by
// AwaitClose or by another receiver.
func (c *Conn) SayClose() error {
	if err := c.SetDeadline(time.Now().Add(dialLimit)); err != nil {
		return err
	}
	_, err := c.Write(appendFrame(nil, opClose, binary.BigEndian.AppendUint16(nil, closeNormal)))
	return err
}

// AwaitClose reads until the server has closed, and then closes the connection.
func (c *Conn) AwaitClose() error {
	defer c.Close()
	for {
		_, err := c.Receive()
		if err == nil {
			continue
		}
		if !errors.Is(err, errClosed) {
			return fmt.Errorf("failed to close a connection: %w", err)
		}
		// The server closes the transport first, so that the ports in TIME_WAIT are its own.
		_, _ = c.br.ReadByte()
		return nil
	}
}
