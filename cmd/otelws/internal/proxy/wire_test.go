package proxy_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The bits of a frame's first byte.
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10

	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame returns a frame as a client sends it.
func frame[T string | []byte](first byte, payload T) []byte {
	return appendFrame(first, &maskKey, []byte(payload))
}

func appendFrame(first byte, key *[4]byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	if key == nil {
		return append(b, payload...)
	}
	b[1] |= 0x80
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i&3])
	}
	return b
}

// closing returns the payload of a close frame.
func closing(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// wire is a client that reads and writes raw bytes.
type wire struct {
	net.Conn
	br *bufio.Reader
}

const wireKey = "dGhlIHNhbXBsZSBub25jZQ=="

func dialWire(t testing.TB, address string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", address)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(waitLimit))
	return &wire{Conn: c, br: bufio.NewReader(c)}
}

// secureWire dials with TLS and does not verify the certificate.
func secureWire(t testing.TB, address string, protocols ...string) *wire {
	t.Helper()
	w := dialWire(t, address)
	w.Conn = tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	w.br = bufio.NewReader(w.Conn)
	return w
}

// handshake returns a WebSocket handshake request with additional header lines.
func handshake(path string, lines ...string) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wireKey + "\r\n"
	for _, l := range lines {
		head += l + "\r\n"
	}
	return head + "\r\n"
}

// openWire opens a WebSocket.
func openWire(t testing.TB, address, path string, lines ...string) *wire {
	t.Helper()
	w := dialWire(t, address)
	w.send(t, []byte(handshake(path, lines...)))
	if resp := w.response(t); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: status %s", resp.Status)
	}
	return w
}

func (w *wire) send(t testing.TB, b []byte) {
	t.Helper()
	_, err := w.Write(b)
	check(t, err)
}

func (w *wire) response(t testing.TB) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(w.br, &http.Request{Method: http.MethodGet})
	check(t, err)
	return resp
}

// read returns the next frame.
func (w *wire) read() (first byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(w.br, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(w.br, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(w.br, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil || n > 64<<20 {
		return 0, nil, fmt.Errorf("frame of %d bytes: %w", n, err)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(w.br, payload)
	return head[0], payload, err
}

// want reads a frame and checks it.
func (w *wire) want(t testing.TB, first byte, payload string) {
	t.Helper()
	got, b, err := w.read()
	if err != nil || got != first || string(b) != payload {
		t.Fatalf("frame %#x %.80q, %v; want %#x %.80q", got, b, err, first, payload)
	}
}

// transcript returns everything that arrives until the end, one line per frame.
func (w *wire) transcript() string {
	var lines []string
	for {
		first, payload, err := w.read()
		if err != nil {
			return strings.Join(append(lines, endOf(err)), "\n")
		}
		lines = append(lines, describe(first, payload))
	}
}

// endOf returns the kind of an end. A server that closes a connection with unread
// bytes resets it, and it depends on timing whether the client sees the reset or the
// FIN, with and without a proxy.
func endOf(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return "end"
	}
	return err.Error()
}

func describe(first byte, payload []byte) string {
	if first&0xf == opClose && len(payload) >= 2 {
		return fmt.Sprintf("%#x close %d %q", first, binary.BigEndian.Uint16(payload), payload[2:])
	}
	if len(payload) <= 64 {
		return fmt.Sprintf("%#x %q", first, payload)
	}
	h := fnv.New64a()
	h.Write(payload)
	return fmt.Sprintf("%#x %d bytes, %x", first, len(payload), h.Sum(nil))
}
