package otelws_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
)

// cut is a transport that breaks within a write.
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

// Of a write that breaks off, the bytes that have gone are counted, and the
// message is not.
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
		t.Errorf("error %v", err)
	}
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

// A response of which a part has gone opens no connection.
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

// pausing is a transport whose deadline passes once, when it has written so many
// bytes.
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

// A write that goes on after a deadline, wherever that came, is counted as one
// that had none.
func TestWriteGoesOn(t *testing.T) {
	parts := [][]byte{
		unmasked(fin|opText, "hello"),
		unmasked(fin|opPing, "p"),
		unmasked(opText, "in "), unmasked(fin|opContinuation, "two"),
		unmasked(fin|opBinary, make([]byte, 300)),
		unmasked(fin|opText, "bye"),
		unmasked(fin|opClose, closePayload(1000, "")),
	}
	whole := bytes.Join(parts, nil)
	for name, writes := range map[string][][]byte{"frame by frame": parts, "at once": {whole}} {
		t.Run(name, func(t *testing.T) {
			want := changedBy(t, writes, len(whole))
			for until := range whole {
				if got := changedBy(t, writes, until); got != want {
					t.Fatalf("a deadline after %d bytes:\n%s\nwant\n%s", until, got, want)
				}
			}
		})
	}
}

// changedBy returns what has changed once the server has written all, to a
// transport whose deadline passes after so many bytes.
func changedBy(t *testing.T, writes [][]byte, until int) string {
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
		transport.until = until
		for _, b := range writes {
			n, err := c.Write(b)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				_, err = c.Write(b[n:])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	})).ServeHTTP(pipeWriter{httptest.NewRecorder(), transport}, upgrade())
	return m.Changed()
}
