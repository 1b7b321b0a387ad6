package otelws_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"

	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// cut is a transport whose Write fails after some bytes.
type cut struct {
	net.Conn
	after int
}

var errCut = errors.New("cut")

func (c cut) Write(p []byte) (int, error) {
	if len(p) <= c.after {
		return len(p), nil
	}
	return c.after, errCut
}

// If a Write fails halfway, the bytes that went out count, and the message does not.
func TestWriteBreaksOff(t *testing.T) {
	ws, m := newInstrumentation(t)
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	c, err := ws.Accept(pipeWriter{httptest.NewRecorder(), cut{near, 3}}, upgrade(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(context.Background(), websocket.MessageText, []byte("!")); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(context.Background(), websocket.MessageText, []byte("hello")); !errors.Is(err, errCut) {
		t.Errorf("Write returned %v", err)
	}
	c.CloseNow()
	for sample, want := range map[string]float64{
		`ws_io_bytes_total{network_io_direction="transmit"}`:             6,
		`ws_frames_total{network_io_direction="transmit",opcode="text"}`: 1,
		"ws_message_sent_bytes_count":                                    1,
		`ws_connections_closed_total{code="1006"}`:                       1,
	} {
		if got, _ := m.Value(sample); got != want {
			t.Errorf("%s is %v, want %v", sample, got, want)
		}
	}
}

// A response that went out only in part opens no connection.
func TestHeadBreaksOff(t *testing.T) {
	ws, m := newInstrumentation(t)
	near, far := net.Pipe()
	defer far.Close()
	ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _, _, err := gobwas.UpgradeHTTP(r, w); err == nil {
			t.Error("the upgrade did not fail")
		} else if c != nil {
			c.Close()
		}
		near.Close()
	})).ServeHTTP(pipeWriter{httptest.NewRecorder(), cut{near, 20}}, upgrade())
	m.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="0"}`, 1)
	if v, _ := m.Value("ws_connections_opened_total"); v != 0 {
		t.Errorf("%v connections opened, want none", v)
	}
}

// pausing is a transport whose deadline passes once, after until bytes.
type pausing struct {
	net.Conn
	until int
}

func (c *pausing) Write(p []byte) (int, error) {
	n := len(p)
	if c.until >= 0 && c.until < n {
		n, c.until = c.until, -1
		return n, os.ErrDeadlineExceeded
	}
	if c.until >= 0 {
		c.until -= n
	}
	return n, nil
}

// A Write may stop short at any byte. The tap then no longer knows where a frame ends.
// It keeps the frames that went out whole, and counts only bytes from then on. It still
// reads the peer's close frame.
func TestWriteStopsShort(t *testing.T) {
	frames := [][]byte{
		unmasked(fin|opText, "hello"),
		unmasked(fin|opPing, "p"),
		unmasked(opText, "in "), unmasked(fin|opContinuation, "two"),
		unmasked(fin|opBinary, make([]byte, 126)),
	}
	whole := bytes.Join(frames, nil)
	for until := 1; until < len(whole); until++ {
		passed, end := 0, 0
		for _, f := range frames {
			if end += len(f); end <= until {
				passed++
			}
		}
		m := writeShort(t, whole, until)
		counted := 0.0
		for _, opcode := range []string{"text", "ping", "continuation", "binary"} {
			n, _ := m.Value(`ws_frames_total{network_io_direction="transmit",opcode="` + opcode + `"}`)
			counted += n
		}
		sent, _ := m.Value(`ws_io_bytes_total{network_io_direction="transmit"}`)
		closed, _ := m.Value(`ws_connections_closed_total{code="1001"}`)
		if counted != float64(passed) || sent != float64(2*len(whole)) || closed != 1 || strings.Contains(m.Changed(), "ws_protocol_errors") {
			t.Fatalf("the deadline passed after %d of %d bytes and %d frames, and the metrics are:\n%s", until, len(whole), passed, m.Changed())
		}
	}
}

// writeShort returns the metrics of a server that writes b and meets a deadline after
// until bytes, writes the rest, writes b again, and reads a close frame.
func writeShort(t *testing.T, b []byte, until int) *otelwstest.Metrics {
	t.Helper()
	ws, m := newInstrumentation(t)
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	transport := &pausing{near, -1}
	ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := gobwas.UpgradeHTTP(r, w)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		transport.until = until
		n, err := c.Write(b)
		if n != until || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the first Write returned %d, %v", n, err)
		}
		for _, b := range [][]byte{b[n:], b} {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _, _ = far.Write(masked(fin|opClose, closePayload(1001, ""))) }()
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(pipeWriter{httptest.NewRecorder(), transport}, upgrade())
	return m
}
