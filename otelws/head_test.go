package otelws_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// hijackFirst is a handler whose f writes the response itself.
func hijackFirst(t *testing.T, f func(net.Conn, *bufio.ReadWriter)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		f(c, brw)
	})
}

// bytewise splits b into single bytes.
func bytewise(b string) []string { return strings.Split(b, "") }

// sentHello holds the metrics of a connection on which the server sent a message of five
// bytes and hung up. The write that ends the response's head is not timed.
const sentHello = sentWithHead + `
	ws_write_time_seconds_total ~`

const sentWithHead = `
	ws_connection_duration_seconds_count{code="1006",initiator="local"} 1
	ws_connection_duration_seconds_sum{code="1006",initiator="local"} ~
	ws_connection_idle_seconds_count{code="1006",initiator="local"} 1
	ws_connection_idle_seconds_sum{code="1006",initiator="local"} ~
	ws_connections_closed_total{code="1006"} 1
	ws_connections_opened_total 1
	ws_frames_total{network_io_direction="transmit",opcode="text"} 1
	ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
	ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~
	ws_io_bytes_total{network_io_direction="transmit"} 7
	ws_message_sent_bytes_bucket{le="1024"} 1
	ws_message_sent_bytes_bucket{le="16384"} 1
	ws_message_sent_bytes_bucket{le="256"} 1
	ws_message_sent_bytes_bucket{le="262144"} 1
	ws_message_sent_bytes_bucket{le="4096"} 1
	ws_message_sent_bytes_bucket{le="64"} 1
	ws_message_sent_bytes_bucket{le="65536"} 1
	ws_message_sent_bytes_count 1
	ws_message_sent_bytes_sum 5`

// opened holds the metrics of a connection on which the server hung up at once.
const opened = `
	ws_connection_duration_seconds_count{code="1006",initiator="local"} 1
	ws_connection_duration_seconds_sum{code="1006",initiator="local"} ~
	ws_connection_idle_seconds_count{code="1006",initiator="local"} 1
	ws_connection_idle_seconds_sum{code="1006",initiator="local"} ~
	ws_connections_closed_total{code="1006"} 1
	ws_connections_opened_total 1
	ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
	ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~`

// A library may hijack and then write the response in any pieces. The tap counts none
// of those bytes, and reads the result of the handshake from them.
func TestHeads(t *testing.T) {
	hello := string(unmasked(fin|opText, "hello"))
	forbidden := "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
	for _, c := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, handshakes("0")},
		{"whole", []string{switchingHead}, opened},
		{"whole, then a frame", []string{switchingHead, hello}, sentHello},
		{"with a frame", []string{switchingHead + hello}, sentWithHead},
		{"bytewise", bytewise(switchingHead + hello), sentHello},
		{"cut in its last line", []string{switchingHead[:len(switchingHead)-1], "\n" + hello}, sentWithHead},
		{"cut in a frame", []string{switchingHead + hello[:3], hello[3:]}, sentHello},
		{"cut at the end", []string{switchingHead[:len(switchingHead)-1]}, handshakes("0")},
		{"403", []string{forbidden}, handshakes("403")},
		{"403 bytewise", bytewise(forbidden), handshakes("403")},
		{"403, then what looks like a 101", []string{forbidden, switchingHead + hello}, handshakes("403")},
		// An interim response precedes the final one (RFC 9110 section 15.2).
		{"early hints first", []string{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", switchingHead, hello}, sentHello},
		{"early hints first, bytewise", bytewise("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + switchingHead + hello), sentHello},
		// Clients accept a line that ends with LF alone (RFC 9112 section 2.2).
		{"LF alone", []string{strings.ReplaceAll(switchingHead, "\r\n", "\n"), hello}, sentHello},
		{"LF alone, bytewise", bytewise(strings.ReplaceAll(switchingHead, "\r\n", "\n") + hello), sentHello},
		{"LF alone at the end", []string{strings.TrimSuffix(switchingHead, "\r\n") + "\n" + hello}, sentWithHead},
		{"another protocol", []string{
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", hello}, handshakes("101")},
		{"no head", []string{"SSH-2.0-OpenSSH_9.9\r\n", "key exchange\r\n\r\n", switchingHead}, handshakes("0")},
		{"no head and no end of it", []string{"SSH-2.0-OpenSSH_9.9\r\n"}, handshakes("0")},
		{"no head, and long", []string{strings.Repeat("x", 100_000), switchingHead}, handshakes("0")},
		{"too long", []string{
			strings.TrimSuffix(switchingHead, "\r\n") + "X: " + strings.Repeat("x", 100_000) + "\r\n\r\n", hello}, handshakes("0")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, buffered := range []bool{false, true} {
				ws, m := newInstrumentation(t)
				s := startServer(t, ws, hijackFirst(t, func(nc net.Conn, brw *bufio.ReadWriter) {
					for _, b := range c.writes {
						to, flush := io.Writer(nc), func() error { return nil }
						if buffered {
							to, flush = brw, brw.Flush
						}
						if n, err := io.WriteString(to, b); n != len(b) || err != nil {
							t.Errorf("the server wrote %d of %d bytes: %v", n, len(b), err)
						}
						if err := flush(); err != nil {
							t.Error(err)
						}
					}
				}))
				w := connectWire(t, s)
				w.send(handshakeRequest())
				if got, want := string(w.rest()), strings.Join(c.writes, ""); got != want {
					t.Errorf("the client read %q, want %q", got, want)
				}
				s.wait(t)
				expect(t, m, c.want)
			}
		})
	}
}

// Frames that the server reads before it answers count as soon as it agrees, and never
// if it refuses.
func TestReadBeforeHead(t *testing.T) {
	hello := masked(fin|opText, "hello")
	for _, c := range []struct {
		head     string
		received float64
	}{
		{switchingHead, 1},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 0},
	} {
		ws, m := newInstrumentation(t)
		s := startServer(t, ws, hijackFirst(t, func(nc net.Conn, brw *bufio.ReadWriter) {
			got := make([]byte, len(hello))
			if _, err := io.ReadFull(brw, got); err != nil || !bytes.Equal(got, hello) {
				t.Errorf("the server read %x, %v", got, err)
			}
			if _, err := io.WriteString(nc, c.head); err != nil {
				t.Error(err)
			}
		}))
		w := connectWire(t, s)
		w.send(handshakeRequest())
		w.send(hello)
		w.rest()
		s.wait(t)
		for sample, want := range map[string]float64{
			"ws_connections_opened_total":                                   c.received,
			`ws_connections_closed_total{code="1006"}`:                      c.received,
			`ws_frames_total{network_io_direction="receive",opcode="text"}`: c.received,
			`ws_io_bytes_total{network_io_direction="receive"}`:             c.received * float64(len(hello)),
		} {
			m.Wait(t, sample, want)
		}
		if got, _ := m.Value("ws_message_bytes_sum"); got != c.received*5 {
			t.Errorf("%v bytes of messages received, want %v", got, c.received*5)
		}
	}
}

// If the server does not answer, a peer that sends without end takes only bounded
// memory, and its bytes still pass.
func TestNoHeadAndAFlood(t *testing.T) {
	const size = 1 << 20
	ws, m := newInstrumentation(t)
	s := startServer(t, ws, hijackFirst(t, func(nc net.Conn, brw *bufio.ReadWriter) {
		if n, err := io.CopyN(io.Discard, brw.Reader, size); err != nil {
			t.Errorf("the server read %d bytes, %v", n, err)
		}
		_, _ = io.WriteString(nc, switchingHead)
	}))
	w := connectWire(t, s)
	w.send(handshakeRequest())
	w.send(make([]byte, size))
	w.shut()
	if got := string(w.rest()); got != switchingHead {
		t.Errorf("the client read %q", got)
	}
	s.wait(t)
	expect(t, m, handshakes("0"))
}

// A library may answer through the ResponseWriter with a status other than 101, and
// hijack afterwards.
func TestHijackAfterStatus(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(http.StatusTeapot)
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, "no")
		_ = c.Close()
	}))
	w := connectWire(t, s)
	w.send(handshakeRequest())
	if resp := w.response(); resp.StatusCode != http.StatusTeapot {
		t.Errorf("the client got status %s", resp.Status)
	}
	if got := string(w.rest()); got != "no" {
		t.Errorf("the client read %q after the head", got)
	}
	s.wait(t)
	expect(t, m, handshakes("400"))
}
