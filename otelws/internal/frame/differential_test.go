package frame_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// reading is the result of reading a stream.
type reading struct {
	events []string
	failed bool // a violation of the protocol ended the reading, not the end of the stream
}

// parse reads a stream in pieces with the parser. If a piece is a complete message,
// Whole and Next must agree on it.
func parse(client bool, rsv byte, pieces ...[]byte) (r reading, err frame.Error) {
	p := frame.New(client, rsv)
	for _, b := range pieces {
		if size := p.Whole(b); size >= 0 && p.BetweenMessages() {
			next := p.Clone()
			f, n, ok, e := next.Next(b)
			if n != len(b) || !ok || e != frame.None || f.Message != int64(size) || !next.BetweenMessages() {
				panic(fmt.Sprintf("Whole says %d of %x, and Next %+v, %d bytes, %v, %v", size, b, f, n, ok, e))
			}
		}
		for len(b) > 0 {
			f, n, ok, e := p.Next(b)
			if e != frame.None {
				r.failed, err = true, e
			}
			b = b[n:]
			if ok {
				r.events = append(r.events, event(&f))
			}
		}
	}
	return r, err
}

// fragment is the event of a frame that does not complete a message. The API of
// coder/websocket does not show such frames.
const fragment = "fragment"

func event(f *frame.Frame) string {
	switch f.Opcode {
	case frame.Ping, frame.Pong, frame.Close:
		return fmt.Sprintf("%x %q", f.Opcode, f.AppendPayload(nil))
	}
	if f.Message < 0 {
		return fragment
	}
	return fmt.Sprintf("message of %d", f.Message)
}

// errEnd ends a stream. It is not io.EOF, because coder/websocket 1.8.15 treats
// io.EOF as the end of a message if no byte of the payload has arrived.
var errEnd = errors.New("end of stream")

// transport returns the peer's bytes, and discards what is written.
type transport struct {
	net.Conn
	io.Reader
}

func (t transport) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err == io.EOF {
		err = errEnd
	}
	return n, err
}

func (t transport) Write(p []byte) (int, error) { return len(p), nil }
func (t transport) Close() error                { return nil }

// read reads a stream with coder/websocket. A client sent it if client is true,
// otherwise a server.
func read(t *testing.T, client bool, mode websocket.CompressionMode, stream []byte) (r reading, invalidClose bool) {
	t.Helper()
	ping := func(_ context.Context, p []byte) bool {
		r.events = append(r.events, fmt.Sprintf("%x %q", frame.Ping, p))
		return true
	}
	pong := func(_ context.Context, p []byte) { r.events = append(r.events, fmt.Sprintf("%x %q", frame.Pong, p)) }

	tr := transport{Reader: bytes.NewReader(stream)}
	var c *websocket.Conn
	var err error
	if client {
		c, err = accept(tr, &websocket.AcceptOptions{CompressionMode: mode, OnPingReceived: ping, OnPongReceived: pong})
	} else {
		c, err = dial(tr, &websocket.DialOptions{CompressionMode: mode, OnPingReceived: ping, OnPongReceived: pong})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		_, reader, err := c.Reader(context.Background())
		var n int64
		if err == nil {
			n, err = io.Copy(io.Discard, reader)
		}
		var ce websocket.CloseError
		switch {
		case err == nil:
			r.events = append(r.events, fmt.Sprintf("message of %d", n))
			continue
		case errors.As(err, &ce):
			payload := []byte{byte(ce.Code >> 8), byte(ce.Code)}
			if ce.Code == websocket.StatusNoStatusRcvd {
				payload = nil
			}
			r.events = append(r.events, fmt.Sprintf("%x %q", frame.Close, append(payload, ce.Reason...)))
		case errors.Is(err, errEnd):
		default:
			r.failed = true
			invalidClose = strings.Contains(err.Error(), "invalid close payload")
		}
		return r, invalidClose
	}
}

type hijacker struct {
	*httptest.ResponseRecorder
	transport
}

func (h hijacker) Write(p []byte) (int, error) { return h.ResponseRecorder.Write(p) }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.transport, bufio.NewReadWriter(bufio.NewReader(h.transport), bufio.NewWriter(h.transport)), nil
}

const key = "dGhlIHNhbXBsZSBub25jZQ=="

func accept(t transport, opts *websocket.AcceptOptions) (*websocket.Conn, error) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key},
		"Sec-Websocket-Extensions": {"permessage-deflate"},
	}
	return websocket.Accept(hijacker{httptest.NewRecorder(), t}, r, opts)
}

func dial(t transport, opts *websocket.DialOptions) (*websocket.Conn, error) {
	o := *opts
	o.HTTPClient = &http.Client{Transport: switching{t}}
	c, _, err := websocket.Dial(context.Background(), "ws://peer", &o)
	return c, err
}

// switching is a server that accepts every offer and then sends the stream.
type switching struct{ transport }

func (s switching) RoundTrip(r *http.Request) (*http.Response, error) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	h := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Accept": {base64.StdEncoding.EncodeToString(sum[:])},
	}
	if e := r.Header.Get("Sec-WebSocket-Extensions"); e != "" {
		h.Set("Sec-WebSocket-Extensions", e)
	}
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: h, Body: s.transport, Request: r}, nil
}

// FuzzParser compares the parser with coder/websocket on the same stream. It also
// compares the parser with itself for each split of the stream in two, and for the
// stream byte by byte.
func FuzzParser(f *testing.F) {
	for _, s := range seeds {
		f.Add(true, s.masked())
		f.Add(false, s.plain())
		f.Add(true, s.plain())
		f.Add(false, s.masked())
	}
	f.Fuzz(func(t *testing.T, client bool, stream []byte) {
		if len(stream) > 1<<10 {
			t.Skip()
		}
		got, err := parse(client, 0, stream)
		compareSplits(t, client, stream, got)
		if err == frame.Masking && !client {
			return // coder/websocket accepts masked frames from a server
		}
		if got.failed { // the parser may fail before the header is complete
			stream = append(slices.Clip(stream), make([]byte, 12)...)
		}
		want, invalidClose := read(t, client, websocket.CompressionDisabled, stream)
		if invalidClose { // the parser does not judge close codes
			want.failed = false
			last := got.events[len(got.events)-1]
			if !strings.HasPrefix(last, fmt.Sprintf("%x ", frame.Close)) {
				t.Fatalf("last event is %s, not the close frame", last)
			}
			want.events = append(want.events, last)
		}
		got.events = slices.DeleteFunc(got.events, func(s string) bool { return s == fragment })
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(reading{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("coder/websocket -, parser + (%v):\n%s", err, diff)
		}
	})
}

func compareSplits(t *testing.T, client bool, stream []byte, whole reading) {
	t.Helper()
	single := make([][]byte, len(stream))
	for i := range stream {
		single[i] = stream[i : i+1]
		got, _ := parse(client, 0, stream[:i], stream[i:])
		if diff := cmp.Diff(whole, got, cmp.AllowUnexported(reading{})); diff != "" {
			t.Fatalf("whole -, split at %d +:\n%s", i, diff)
		}
	}
	got, _ := parse(client, 0, single...)
	if diff := cmp.Diff(whole, got, cmp.AllowUnexported(reading{})); diff != "" {
		t.Fatalf("whole -, byte by byte +:\n%s", diff)
	}
}

// FuzzCompressed compares the parser with coder/websocket with permessage-deflate.
// coder/websocket stops at a payload that does not decompress, and the parser does
// not. So the events of coder/websocket are the beginning of the parser's events.
func FuzzCompressed(f *testing.F) {
	for _, s := range seeds {
		f.Add(s.masked())
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 1<<10 {
			t.Skip()
		}
		got, _ := parse(true, frame.RSV1, stream)
		want, _ := read(t, true, websocket.CompressionNoContextTakeover, stream)
		gotKinds, wantKinds := kinds(got), kinds(want)
		if len(wantKinds) > len(gotKinds) || !slices.Equal(wantKinds, gotKinds[:len(wantKinds)]) {
			t.Fatalf("coder/websocket read %v, parser %v", want.events, got.events)
		}
	})
}

// kinds returns the events without the sizes, which compression changes.
func kinds(r reading) (all []string) {
	for _, e := range r.events {
		if e == fragment {
			continue
		}
		kind, _, _ := strings.Cut(e, " ")
		all = append(all, kind)
	}
	return all
}
