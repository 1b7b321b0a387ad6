package otelws_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// trafficSize is the number of bytes that go each way through a tap, at least.
const trafficSize = 3 << 20

// stream is random bytes for one direction, and the counts that the tap must report.
type stream struct {
	b        []byte
	messages int
	payload  int // total of all messages
	pings    int
}

// sum is the hash and the number of the bytes that arrived.
type sum struct {
	hash  string
	bytes int64
}

func (s *stream) sum() sum {
	h := sha256.Sum256(s.b)
	return sum{hex.EncodeToString(h[:]), int64(len(s.b))}
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

// garbage returns bytes of no protocol. No frame header begins like them.
func garbage(r *rand.Rand) *stream {
	b := randomBytes(r, trafficSize)
	b[0] |= rsv1
	return &stream{b: b}
}

// framed returns valid frames of all sizes, masked if client is true. Some messages are
// in fragments, and some frames follow a ping.
func framed(r *rand.Rand, client bool) *stream {
	frame := unmasked[[]byte]
	if client {
		frame = masked[[]byte]
	}
	s := &stream{}
	for len(s.b) < trafficSize {
		opcode := byte(opText + r.IntN(2))
		for fragments := r.IntN(3); fragments >= 0; fragments-- {
			if r.IntN(4) == 0 {
				s.b = append(s.b, frame(fin|opPing, randomBytes(r, r.IntN(126)))...)
				s.pings++
			}
			if fragments == 0 {
				opcode |= fin
			}
			payload := randomBytes(r, r.IntN(1<<r.IntN(18)))
			s.b = append(s.b, frame(opcode, payload)...)
			s.payload += len(payload)
			opcode = opContinuation
		}
		s.messages++
	}
	return s
}

// write writes b in chunks of random sizes, and then closes that direction.
func write(r *rand.Rand, w io.Writer, b []byte) error {
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(1<<r.IntN(18)))
		if m, err := w.Write(b[:n]); m != n || err != nil {
			return fmt.Errorf("wrote %d of %d bytes: %w", m, n, err)
		}
		b = b[n:]
	}
	cw, ok := w.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("%T has no CloseWrite", w)
	}
	return cw.CloseWrite()
}

// read reads until the end, into buffers of random sizes.
func read(r *rand.Rand, rd io.Reader) (sum, error) {
	h := sha256.New()
	buf := make([]byte, 1<<17)
	var total int64
	for {
		n, err := rd.Read(buf[:1+r.IntN(1<<r.IntN(18))])
		total += int64(n)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return sum{hex.EncodeToString(h.Sum(nil)), total}, nil
		}
		if err != nil {
			return sum{}, err
		}
	}
}

// random is repeatable: a seed gives the same traffic in each run.
func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 6455)) }

// tunnel is a server that hijacks, and then sends and reads concurrently until the end.
func tunnel(t *testing.T, out *stream, got chan<- sum) http.Handler {
	return hijackFirst(t, func(c net.Conn, brw *bufio.ReadWriter) {
		if _, err := io.WriteString(c, switchingHead); err != nil {
			t.Error(err)
		}
		written := make(chan error, 1)
		go func() { written <- write(random(1), c, out.b) }()
		s, err := read(random(2), brw.Reader)
		if err := errors.Join(err, <-written); err != nil {
			t.Error(err)
		}
		got <- s
	})
}

// transport is a path from a client through a tap to a server.
type transport struct {
	name  string
	serve func(*testing.T, *otelws.Instrumentation, http.Handler) *testServer
	sides []string // prefixes of the metrics that count it
	early bool     // whether bytes behind the request reach the server
}

var transports = []transport{
	{"TCP", func(t *testing.T, ws *otelws.Instrumentation, h http.Handler) *testServer {
		return startServer(t, ws, h)
	}, []string{"ws_"}, true},
	{"TLS", func(t *testing.T, ws *otelws.Instrumentation, h http.Handler) *testServer {
		return startServer(t, ws, h, func(s *httptest.Server) { s.TLS = new(tls.Config) })
	}, []string{"ws_"}, true},
	{"ReverseProxy", func(t *testing.T, ws *otelws.Instrumentation, h http.Handler) *testServer {
		return startServer(t, ws, proxyTo(t, startServer(t, nil, h), nil))
	}, []string{"ws_"}, false},
	{"ReverseProxy with a Transport", func(t *testing.T, ws *otelws.Instrumentation, h http.Handler) *testServer {
		return startServer(t, ws, proxyTo(t, startServer(t, nil, h), ws.Transport(newTransport(t))))
	}, []string{"ws_", "ws_client_"}, false},
}

// Over each transport, the tap passes all bytes unchanged, concurrently in both
// directions, and counts them.
func TestTransparency(t *testing.T) {
	for _, c := range transports {
		for _, valid := range []bool{true, false} {
			name := c.name + ", garbage"
			if valid {
				name = c.name + ", frames"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				up, down := garbage(random(3)), garbage(random(4))
				if valid {
					up, down = framed(random(3), true), framed(random(4), false)
				}
				ws, m := newInstrumentation(t)
				got := make(chan sum, 1)
				s := c.serve(t, ws, tunnel(t, down, got))
				w := connectWire(t, s)

				early := 0
				if c.early {
					early = 1000
				}
				w.send(append(handshakeRequest(), up.b[:early]...))
				w.response()
				written := make(chan error, 1)
				go func() { written <- write(random(5), w.Conn, up.b[early:]) }()
				back, err := read(random(6), w.br)
				if err := errors.Join(err, <-written); err != nil {
					t.Fatal(err)
				}
				if there := <-got; there != up.sum() {
					t.Errorf("the server read %v, the client sent %v", there, up.sum())
				}
				if back != down.sum() {
					t.Errorf("the client read %v, the server sent %v", back, down.sum())
				}
				_ = w.Close()
				s.wait(t)

				checkTraffic(t, m, c.sides[0], up, down)
				if len(c.sides) > 1 {
					checkTraffic(t, m, c.sides[1], down, up)
				}
			})
		}
	}
}

// Either end may close its direction first, and still read the other.
func TestHalfClose(t *testing.T) {
	question, answer := garbage(random(7)), garbage(random(8))
	for _, c := range transports {
		for _, serverFirst := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the server first: %v", c.name, serverFirst), func(t *testing.T) {
				t.Parallel()
				ws, m := newInstrumentation(t)
				s := c.serve(t, ws, hijackFirst(t, func(c net.Conn, brw *bufio.ReadWriter) {
					if _, err := io.WriteString(c, switchingHead); err != nil {
						t.Error(err)
					}
					halfClose(t, serverFirst, c, brw.Reader, answer, question)
				}))
				w := connectWire(t, s)
				w.send(handshakeRequest())
				w.response()
				halfClose(t, !serverFirst, w.Conn, w.br, question, answer)
				_ = w.Close()
				s.wait(t)
				for _, prefix := range c.sides {
					m.Wait(t, prefix+"connections_opened_total", 1)
					m.Wait(t, prefix+`connections_closed_total{code="1006"}`, 1)
					m.Wait(t, prefix+"connections_active", 0)
				}
			})
		}
	}
}

// halfClose acts as one end. The first end writes everything and closes its direction.
// The second end writes only after that.
func halfClose(t *testing.T, first bool, c net.Conn, r io.Reader, out, in *stream) {
	if first {
		if err := write(random(9), c, out.b); err != nil {
			t.Error(err)
		}
	}
	got, err := read(random(10), r)
	if err != nil || got != in.sum() {
		t.Errorf("this end read %v and error %v, want %v", got, err, in.sum())
	}
	if !first {
		if err := write(random(9), c, out.b); err != nil {
			t.Error(err)
		}
	}
}

// checkTraffic waits until the metrics of one side count the traffic.
func checkTraffic(t *testing.T, m *otelwstest.Metrics, prefix string, received, sent *stream) {
	t.Helper()
	m.Wait(t, prefix+"connections_opened_total", 1)
	m.Wait(t, prefix+`connections_closed_total{code="1006"}`, 1)
	m.Wait(t, prefix+`io_bytes_total{network_io_direction="receive"}`, float64(len(received.b)))
	m.Wait(t, prefix+`io_bytes_total{network_io_direction="transmit"}`, float64(len(sent.b)))
	m.Wait(t, prefix+`frames_total{network_io_direction="receive",opcode="ping"}`, float64(received.pings))
	m.Wait(t, prefix+`frames_total{network_io_direction="transmit",opcode="ping"}`, float64(sent.pings))
	if received.messages == 0 {
		m.Wait(t, prefix+`protocol_errors_total{error_type="reserved_bits"}`, 2)
		if n, ok := m.Value(prefix + "message_bytes_count"); ok {
			t.Errorf("%v messages were counted in garbage", n)
		}
		return
	}
	m.Wait(t, prefix+"message_bytes_count", float64(received.messages))
	m.Wait(t, prefix+"message_bytes_sum", float64(received.payload))
	m.Wait(t, prefix+"message_sent_bytes_count", float64(sent.messages))
	m.Wait(t, prefix+"message_sent_bytes_sum", float64(sent.payload))
	if errors := protocolErrors(m.Changed()); errors != "" {
		t.Errorf("protocol errors were counted:\n%s", errors)
	}
}

// failingFlusher is a writer whose Flush fails.
type failingFlusher struct{ http.ResponseWriter }

var errFlush = errors.New("the peer has gone")

func (failingFlusher) Flush()            {}
func (failingFlusher) FlushError() error { return errFlush }

func TestFlushErrorPasses(t *testing.T) {
	ws, _ := newInstrumentation(t)
	ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, errFlush) {
			t.Errorf("Flush returned %v, want %v", err, errFlush)
		}
	})).ServeHTTP(failingFlusher{httptest.NewRecorder()}, upgrade())
}
