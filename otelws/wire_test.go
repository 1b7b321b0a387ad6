package otelws_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"testing"
	"time"
)

// The parts of a frame's first byte.
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

// These are the three forms of a frame's length.
const (
	length7  = 0
	length16 = 126
	length64 = 127
)

var maskKey = []byte{0x37, 0xfa, 0x21, 0x3d}

// frameHeader returns a frame header with the length in the given form. A nil key means
// no mask.
func frameHeader(first byte, form int, length uint64, key []byte) []byte {
	b := []byte{first}
	switch form {
	case length16:
		b = binary.BigEndian.AppendUint16(append(b, length16), uint16(length))
	case length64:
		b = binary.BigEndian.AppendUint64(append(b, length64), length)
	default:
		b = append(b, byte(length))
	}
	if key != nil {
		b[1] |= 0x80
	}
	return append(b, key...)
}

// formOf returns the shortest form for a length.
func formOf(n int) int {
	switch {
	case n < length16:
		return length7
	case n < 1<<16:
		return length16
	}
	return length64
}

// masked returns a frame as a client sends it. unmasked returns one as a server sends
// it.
func masked[T string | []byte](first byte, payload T) []byte {
	return maskedAs(first, formOf(len(payload)), maskKey, payload)
}

func maskedAs[T string | []byte](first byte, form int, key []byte, payload T) []byte {
	b := frameHeader(first, form, uint64(len(payload)), key)
	start := len(b)
	b = append(b, payload...)
	for i, p := 0, b[start:]; i < len(p); i++ {
		p[i] ^= key[i&3]
	}
	return b
}

func unmasked[T string | []byte](first byte, payload T) []byte {
	return append(frameHeader(first, formOf(len(payload)), uint64(len(payload)), nil), payload...)
}

// closePayload returns the payload of a close frame.
func closePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

func frames(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// handshakeRequest returns a handshake with extra header lines.
func handshakeRequest(lines ...string) []byte {
	b := []byte("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	for _, l := range lines {
		b = append(append(b, l...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// switchingHead is the response to handshakeRequest.
const switchingHead = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// wire is a client without a library. Its methods fail the test on an error.
type wire struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

// connectWire opens a transport to the server, and sends nothing.
func connectWire(t testing.TB, s *testServer) *wire {
	t.Helper()
	return connectWireTo(t, s.Listener.Addr(), s.TLS != nil)
}

func connectWireTo(t testing.TB, addr net.Addr, withTLS bool) *wire {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	if withTLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(waitLimit))
	return &wire{Conn: c, t: t, br: bufio.NewReader(c)}
}

// openWire opens a WebSocket to the server.
func openWire(t testing.TB, s *testServer, lines ...string) *wire {
	t.Helper()
	w := connectWire(t, s)
	w.send(handshakeRequest(lines...))
	if resp := w.response(); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: status %s", resp.Status)
	}
	return w
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	if _, err := w.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) response() *http.Response {
	w.t.Helper()
	resp, err := http.ReadResponse(w.br, &http.Request{Method: http.MethodGet})
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

// reply returns the response as received, without its date. It returns "" if the server
// closes the transport instead.
func (w *wire) reply() string {
	w.t.Helper()
	var b []byte
	for {
		resp, err := http.ReadResponse(w.br, &http.Request{Method: http.MethodGet})
		if err != nil {
			return ""
		}
		resp.Header.Del("Date")
		dump, err := httputil.DumpResponse(resp, true)
		if err != nil {
			w.t.Fatal(err)
		}
		b = append(b, dump...)
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return string(b)
		}
	}
}

// next returns the next frame.
func (w *wire) next() (first byte, payload []byte) {
	w.t.Helper()
	b := make([]byte, 2)
	w.full(b)
	n := uint64(b[1])
	switch n {
	case length16:
		ext := make([]byte, 2)
		w.full(ext)
		n = uint64(binary.BigEndian.Uint16(ext))
	case length64:
		ext := make([]byte, 8)
		w.full(ext)
		n = binary.BigEndian.Uint64(ext)
	}
	if n > readLimit {
		w.t.Fatalf("a frame of %d bytes", n)
	}
	payload = make([]byte, n)
	w.full(payload)
	return b[0], payload
}

func (w *wire) full(b []byte) {
	w.t.Helper()
	if _, err := io.ReadFull(w.br, b); err != nil {
		w.t.Fatal(err)
	}
}

// answer checks the next frame.
func (w *wire) answer(first byte, payload string) {
	w.t.Helper()
	if gotFirst, got := w.next(); gotFirst != first || string(got) != payload {
		w.t.Fatalf("got frame %#x %.40q, want %#x %.40q", gotFirst, got, first, payload)
	}
}

// rest returns all bytes until the server closes the transport, in an orderly way or by
// a reset.
func (w *wire) rest() []byte {
	w.t.Helper()
	b, err := io.ReadAll(w.br)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		w.t.Fatal("the server does not close the transport")
	}
	return b
}

// shut closes the client's sending direction.
func (w *wire) shut() {
	// This fails if the server has already closed the transport.
	_ = w.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// head returns the head of the response as received.
func (w *wire) head() string {
	w.t.Helper()
	var b []byte
	for !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		c, err := w.br.ReadByte()
		if err != nil {
			w.t.Fatal(err)
		}
		b = append(b, c)
	}
	return string(b)
}
