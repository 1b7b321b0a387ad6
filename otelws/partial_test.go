package otelws_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
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
