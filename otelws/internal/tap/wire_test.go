package tap

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// gate is a Door that watches every connection and keeps the calls.
type gate struct {
	facts  *facts
	panics bool

	mu         sync.Mutex
	asked      []string // URIs of the requests
	conns      []*Conn
	unreadable []upgrade.Protocol
	faults     []any
}

func newGate() *gate { return &gate{facts: newFacts()} }

func (g *gate) Asked(_ net.Conn, r *http.Request) (*Conn, Recorder, any) {
	if g.panics {
		panic("no")
	}
	c := new(Conn)
	g.locked(func() {
		g.asked = append(g.asked, r.RequestURI)
		g.conns = append(g.conns, c)
	})
	return c, g.facts, nil
}

func (g *gate) locked(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *gate) Unreadable(p upgrade.Protocol) {
	g.locked(func() { g.unreadable = append(g.unreadable, p) })
}
func (g *gate) Fault(v any) { g.locked(func() { g.faults = append(g.faults, v) }) }

// script is a net.Conn whose Reads return at most piece bytes of read. It keeps all
// written bytes.
type script struct {
	net.Conn
	read    []byte
	piece   int
	written bytes.Buffer
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.read) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.read)
	s.read = s.read[n:]
	return n, nil
}
func (s *script) Write(p []byte) (int, error) { return s.written.Write(p) }
func (s *script) Close() error                { return nil }

const asks = "GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// FuzzWire checks that a Wire passes any bytes unchanged in both directions, without a
// fault.
func FuzzWire(f *testing.F) {
	for i, head := range []string{"", "\r\n\r\n", "GET /\r\r\n\r\n", "GET / HTTP/1.1\nUpgrade: websocket\n\n", "GET / HTTP/1.1\r\nUpgrade\r\n\r\n"} {
		f.Add([]byte(head+asks), []byte(response+"\x81\x01x"), byte(i), i%2 == 0)
		f.Add([]byte("POST / HTTP/1.1\r\n\r\n"+asks), []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"+response), byte(i), i%2 == 0)
	}
	f.Add([]byte("CONNECT / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n"), byte(99), true)
	f.Fuzz(func(t *testing.T, in, out []byte, piece byte, accepted bool) {
		g := newGate()
		s := &script{read: bytes.Clone(in), piece: 1 + int(piece)}
		w := NewWire(s, accepted, g)
		var got []byte
		for rest, b := out, make([]byte, 1+int(piece)); ; {
			n := min(1+int(piece), len(rest))
			if k, err := w.Write(rest[:n]); k != n || err != nil {
				t.Fatalf("Write returned %d, %v", k, err)
			}
			rest = rest[n:]
			k, err := w.Read(b)
			got = append(got, b[:k]...)
			if err != nil && len(rest) == 0 {
				break
			}
		}
		_ = w.Close()
		if !bytes.Equal(got, in) || !bytes.Equal(s.written.Bytes(), out) {
			t.Fatalf("the application read %q, and the peer %q", got, s.written.Bytes())
		}
		if len(g.faults)+len(g.facts.faults) > 0 {
			t.Fatalf("faults %v and %v", g.faults, g.facts.faults)
		}
		if g.facts.opened+len(g.facts.refused) != len(g.asked) {
			t.Fatalf("asked %q, opened %d, refused %v", g.asked, g.facts.opened, g.facts.refused)
		}
	})
}

// The Wire keeps a head only up to a limit.
func TestWireBoundsTheHead(t *testing.T) {
	g := newGate()
	long := strings.TrimSuffix(asks, "\r\n") + "X: " + strings.Repeat("x", 2*maxHead) + "\r\n\r\n"
	s := &script{read: []byte(long), piece: 1000}
	w := NewWire(s, true, g).(*Wire)
	if b, err := io.ReadAll(w); string(b) != long || err != nil {
		t.Errorf("the application read %d bytes, %v", len(b), err)
	}
	if w.head != nil || len(g.asked) > 0 {
		t.Errorf("head kept: %v; asked %v", w.head != nil, g.asked)
	}
}

// A panic of the Door ends the watching of that connection, and nothing else.
func TestWireFault(t *testing.T) {
	g := newGate()
	g.panics = true
	w := NewWire(&script{read: []byte(asks + asks), piece: len(asks)}, true, g)
	if b, err := io.ReadAll(w); string(b) != asks+asks || err != nil {
		t.Errorf("the application read %q, %v", b, err)
	}
	if len(g.faults) != 1 {
		t.Errorf("faults %v", g.faults)
	}
}

// A handshake is missed if it comes before the response to an earlier request. The
// payloads of its connection must not count as handshakes.
func TestWirePipelined(t *testing.T) {
	g := newGate()
	s := &script{read: []byte("GET / HTTP/1.1\r\n\r\n" + asks), piece: 4096}
	w := NewWire(s, true, g)
	read := func() {
		if _, err := w.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
	read()
	for _, out := range []string{"HTTP/1.1 200 OK\r\n\r\n", response} {
		_, _ = io.WriteString(w, out)
	}
	for range 3 { // payloads that look like a handshake
		s.read = []byte(asks)
		read()
		_, _ = io.WriteString(w, "\x81\x01x")
	}
	if len(g.asked)+len(g.facts.refused)+g.facts.opened > 0 {
		t.Errorf("asked %q, refused %v, opened %d", g.asked, g.facts.refused, g.facts.opened)
	}
}

// While a handler runs, net/http reads one byte ahead. It may be the first byte of the
// next request.
func TestWireReadsAhead(t *testing.T) {
	for _, discarded := range []bool{false, true} {
		g := newGate()
		here, there := net.Pipe()
		w := NewWire(here, true, g)
		send := func(s string) {
			if _, err := io.WriteString(there, s); err != nil {
				t.Error(err)
			}
		}
		go send(asks)
		if _, err := io.ReadFull(w, make([]byte, len(asks))); err != nil {
			t.Fatal(err)
		}
		ahead := make(chan error)
		go func() {
			_, err := w.Read(make([]byte, 1))
			ahead <- err
		}()
		for !g.conns[0].Reading() {
			runtime.Gosched()
		}
		if discarded {
			g.conns[0].Discard()
		}
		go func() {
			_, _ = io.CopyN(io.Discard, there, int64(len("HTTP/1.1 403 Forbidden\r\n\r\n")))
			send(asks)
		}()
		if _, err := io.WriteString(w, "HTTP/1.1 403 Forbidden\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := <-ahead; err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(w, make([]byte, len(asks)-1)); err != nil {
			t.Fatal(err)
		}
		if len(g.asked) != 2 {
			t.Errorf("discarded %v: asked %q, want two requests", discarded, g.asked)
		}
		_ = there.Close()
		_ = w.Close()
	}
}

// A connection ends when the application drops its Wire.
func TestWireDropped(t *testing.T) {
	g := newGate()
	func() {
		w := NewWire(&script{read: []byte(asks), piece: 4096}, true, g)
		_, _ = w.Read(make([]byte, 4096))
		_, _ = io.WriteString(w, response)
	}()
	for end := time.Now().Add(10 * time.Second); len(g.facts.ended) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the connection has not ended")
		}
		runtime.GC()
	}
}

// steady is a transport whose Reads return the same bytes in a loop.
type steady struct {
	net.Conn
	in []byte
}

func (s *steady) Read(p []byte) (int, error)  { return copy(p, s.in), nil }
func (s *steady) Write(p []byte) (int, error) { return len(p), nil }

const browserHead = "GET / HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n" +
	"sec-ch-ua: \"Chromium\";v=\"156\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n" +
	"Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n" +
	"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: id=0123456789abcdef0123456789abcdef\r\n\r\n"

// BenchmarkWire measures a request and its response, and a message each way, in memory.
func BenchmarkWire(b *testing.B) {
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 08:22:20 GMT\r\nContent-Length: 11\r\n\r\nhello world")
	message := append([]byte{0x82, 0x80 | 64, 0, 0, 0, 0}, make([]byte, 64)...)
	sent := append([]byte{0x82, 64}, make([]byte, 64)...)
	run := func(name string, c net.Conn, out []byte) {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.Read(buf)
				_, _ = c.Write(out)
			}
		})
	}
	for _, r := range []struct{ name, head string }{
		{"Small", "GET / HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: bench\r\n\r\n"},
		{"Browser", browserHead},
		{"Body", "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"},
	} {
		run(r.name+"/Bare", &steady{in: []byte(r.head)}, answer)
		run(r.name+"/Wire", NewWire(&steady{in: []byte(r.head)}, true, newGate()), answer)
	}
	run("Message/Bare", &steady{in: message}, sent)
	s := &steady{in: []byte(asks)}
	w := NewWire(s, true, newGate())
	_, _ = w.Read(make([]byte, 4096))
	_, _ = io.WriteString(w, response)
	s.in = message
	run("Message/Wire", w, sent)
	c := new(Conn)
	app := c.WatchConn(&steady{in: message}, true, newFacts(), nil)
	c.Open(switching)
	run("Message/Handler", app, sent)
}
