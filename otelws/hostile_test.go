package otelws_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// script is a connection whose peer has already sent everything.
type script struct {
	net.Conn
	io.Reader
}

func (s script) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s script) Write(p []byte) (int, error) { return len(p), nil }
func (s script) Close() error                { return nil }

type scripted struct {
	http.ResponseWriter
	script
}

func (s scripted) Write(p []byte) (int, error) { return s.ResponseWriter.Write(p) }

func (s scripted) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return s.script, bufio.NewReadWriter(bufio.NewReader(s.script), bufio.NewWriter(s.script)), nil
}

// play runs a connection under ws. The peer sends stream, and the server writes answer.
func play(ws *otelws.Instrumentation, r *http.Request, stream io.Reader, answer []byte) {
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Protocol", r.Header.Get("Sec-WebSocket-Protocol"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, brw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		if len(answer) > 0 {
			c.Write(answer)
		}
		io.Copy(io.Discard, brw)
	})
	ws.Handler(next).ServeHTTP(scripted{httptest.NewRecorder(), script{Reader: stream}}, r)
}

func request(target string) *http.Request {
	return httptest.NewRequest(http.MethodGet, target, nil)
}

// budget returns the worst case that New computes for opts.
func budget(t *testing.T, opts ...otelws.Option) int {
	t.Helper()
	_, err := otelws.New(append(opts, otelws.WithSeriesBudget(1), otelws.WithMeterProvider(noop.NewMeterProvider()))...)
	if err == nil {
		t.Fatal("New accepted a budget of one series")
	}
	_, after, _ := strings.Cut(err.Error(), "worst case of ")
	var n int
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// series counts the time series in a scrape.
func series(t *testing.T, m *otelwstest.Metrics) (n int) {
	t.Helper()
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// Each of the 65,536 close codes is counted under a value of the closed set.
func TestEveryCloseCode(t *testing.T) {
	ws, m := newInstrumentation(t)
	for code := range 1 << 16 {
		payload := binary.BigEndian.AppendUint16(nil, uint16(code))
		play(ws, request("/"), bytes.NewReader(masked(0x88, payload)), nil)
	}
	want := map[string]int{
		"3xxx": 1000 - 3, "4xxx": 1000, "other": 1<<16 - 2000 - 12,
		"3000": 1, "3003": 1, "3008": 1,
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014} {
		want[fmt.Sprint(code)] = 1
	}
	sum := 0
	for code, n := range want {
		sum += n
		if v, _ := m.Value(fmt.Sprintf("ws_connections_closed_total{code=%q}", code)); v != float64(n) {
			t.Errorf("code %s: %v closed, want %d", code, v, n)
		}
	}
	if v, _ := m.Value("ws_connections_opened_total"); sum != 1<<16 || v != float64(sum) {
		t.Errorf("%v connections were opened, but %d were closed", v, sum)
	}
	if n, most := series(t, m), budget(t); n > most {
		t.Errorf("the scrape has %d series, more than New's worst case of %d", n, most)
	}
}

// Whatever values clients send, the series stay below New's worst case.
func TestTenThousandOfEverything(t *testing.T) {
	opts := []otelws.Option{
		otelws.WithRoutes("/chat"),
		otelws.WithSubprotocols("v1"),
		otelws.WithEnum("origin", func(r *http.Request) string { return r.Header.Get("Origin") }, "https://example.com"),
		otelws.WithEnum("host", func(r *http.Request) string { return r.Host }, "example.com"),
		otelws.WithAttributesOn(otelws.MessageInstruments, otelws.HeartbeatInstruments, otelws.DurationInstruments, otelws.TrafficInstruments),
		otelws.WithSeriesBudget(1 << 20),
	}
	ws, m := newInstrumentation(t, opts...)
	for i := range 10_000 {
		r := request(fmt.Sprintf("http://host-%d.example/%d", i, i))
		r.Pattern = fmt.Sprintf("/%d", i)
		r.Header.Set("Origin", fmt.Sprintf("https://%d.example", i))
		r.Header.Set("Sec-WebSocket-Protocol", fmt.Sprintf("v%d", i))
		play(ws, r, bytes.NewReader(masked(0x82, "hello")), nil)
	}
	m.Wait(t, `ws_connections_closed_total{code="1006",host="other",http_route="other",origin="other",subprotocol="other"}`, 9_999)
	m.Wait(t, `ws_connections_closed_total{code="1006",host="other",http_route="other",origin="other",subprotocol="v1"}`, 1)
	if n, most := series(t, m), budget(t, opts...); n > most {
		t.Errorf("the scrape has %d series, more than New's worst case of %d", n, most)
	}
}

// repeated is a stream that repeats one frame n times.
type repeated struct {
	frame []byte
	n     int
	rest  []byte
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.rest) == 0 {
			if r.n == 0 {
				return n, io.EOF
			}
			r.n--
			r.rest = r.frame
		}
		c := copy(p[n:], r.rest)
		r.rest = r.rest[c:]
		n += c
	}
	return n, nil
}

// A million unanswered pings and a million unsolicited pongs take no memory and count
// as no round trips.
func TestPingsWithoutEnd(t *testing.T) {
	const million = 1_000_000
	ws, m := newInstrumentation(t)
	var own bytes.Buffer
	for i := range million {
		own.Write(unmasked(0x89, binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
	grown := func(f func()) int64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	n := grown(func() {
		play(ws, request("/"), &repeated{frame: masked(0x8A, "unasked"), n: million}, own.Bytes())
	})
	if n > 1<<20 {
		t.Errorf("a million pings and a million pongs allocated %d bytes", n)
	}
	if diff := m.Diff(`
		ws_connection_duration_seconds_count{code="1006",initiator="peer"} 1
		ws_connection_duration_seconds_sum{code="1006",initiator="peer"} ~
		ws_connection_idle_seconds_count{code="1006",initiator="peer"} 1
		ws_connection_idle_seconds_sum{code="1006",initiator="peer"} ~
		ws_connections_closed_total{code="1006"} 1
		ws_connections_opened_total 1
		ws_frames_total{network_io_direction="receive",opcode="pong"} 1e+06
		ws_frames_total{network_io_direction="transmit",opcode="ping"} 1e+06
		ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
		ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~
		ws_io_bytes_total{network_io_direction="receive"} 1.3e+07
		ws_io_bytes_total{network_io_direction="transmit"} 6e+06
		ws_write_time_seconds_total ~`); diff != "" {
		t.Error(diff)
	}
}

// An unfinished handshake counts nowhere and leaves nothing behind.
func TestSlowHandshake(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := httptest.NewUnstartedServer(ws.Handler(echo))
	s.Config.ReadHeaderTimeout = 100 * time.Millisecond
	s.Start()
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnec"); err != nil {
		t.Fatal(err)
	}
	// The server may hang up by a reset, if the rest of the head comes at that moment.
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	if diff := m.Diff(""); diff != "" {
		t.Error(diff)
	}
}
